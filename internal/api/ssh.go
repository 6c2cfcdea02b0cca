package api

import "github.com/culvert-project/culvert/internal/fault"

// maxSSHKey bounds the text of a public SSH key, in bytes.
const maxSSHKey = 16 << 10

// SSHCredential is a registered SSH key (api.md 2.17).
type SSHCredential struct {
	Meta
	Texts
	// PublicKey is the key as it was given.
	PublicKey string `json:"public_key"`
	// ACL are the rules of what clients with it may bind; none means everything. It is never nil.
	ACL     []string `json:"acl"`
	OwnerID string   `json:"owner_id"`
}

// SSHCredentials is the table of registered SSH keys.
func SSHCredentials() *Resource {
	return &Resource{
		Name: "SSH credential", Path: "/ssh_credentials", ListKey: "ssh_credentials", Prefix: "sshcr", Verbs: crud(),
		Fields: append([]Field{
			{Name: "acl", Type: Strings, Create: Optional, Update: Optional, Max: 512, Invalid: fault.ACLInvalid, Doc: "what SSH clients with it may bind, such as bind:*.example.com; none means everything"},
			{Name: "public_key", Create: Required, Max: maxSSHKey, Missing: fault.SSHKeyEmpty, Doc: "the line of a public key file, such as ssh-ed25519 AAAA… name"},
		}, ownerFields(texts(fault.CredentialDescription, fault.CredentialMetadata))...),
		Filter:      []string{"id", "created_at", "description", "metadata", "owner_id", "acl"},
		EmptyUpdate: fault.CredentialEmptyUpdate,
		Answer:      SSHCredential{}, Aliases: []string{"ssh-keys"},
		Doc: "An SSH credential is a public key, with which plain SSH clients put services online.",
	}
}
