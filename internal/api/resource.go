package api

import (
	"time"

	"github.com/culvert-project/culvert/internal/fault"
)

// Type is the JSON type of a field.
type Type int

// The types of fields.
const (
	String  Type = iota
	Bool         // true or false
	Number       // an integer
	Time         // text in RFC 3339
	Strings      // a list of texts
	Object       // an object with Fields
	Objects      // a list of such objects
	RefType      // a [Ref] or null, in answers only
	Refs         // a list of [Ref], in answers only
	Map          // an object with any keys and texts as values
)

// Use says whether a field may stand in the body of a request.
type Use int

// How a field may be used in a request.
const (
	Never    Use = iota // it stands in answers only
	Optional            // it may be given
	Required            // it has to be given, and not empty
	Ignored             // it is accepted and has no effect, for clients that send it (api.md 1.3)
)

// Field is one field of a resource.
type Field struct {
	// Name is its JSON name.
	Name string
	// Type is that of its value.
	Type Type
	// Create and Update say whether it may be given when an object is made or changed.
	Create, Update Use
	// Max is the greatest length of a text in bytes, 0 for none. TooLong is the fault of longer ones.
	Max     int
	TooLong fault.Code
	// Missing is the fault when a required field is absent. Default: fault.FieldInvalid.
	Missing fault.Code
	// Enum are the texts allowed; none means any. Invalid is the fault of other ones. Default:
	// fault.FieldInvalid.
	Enum    []string
	Invalid fault.Code
	// Fields are those of an object.
	Fields []Field
	// Ref is the prefix of the ids that a text or reference holds, such as "vault"; "" means it is no id. An
	// empty text then means absent.
	Ref string
	// Secret says that the value is never answered.
	Secret bool
	// Doc says what it is, in a phrase for help texts.
	Doc string
}

// Verb is something that can be done with a resource.
type Verb string

// The verbs that most resources have.
const (
	Create Verb = "create"
	Get    Verb = "get"
	List   Verb = "list"
	Update Verb = "update"
	Delete Verb = "delete"
)

// Resource is one kind of object of the API.
type Resource struct {
	// Name is what one is called in texts, such as "vault secret".
	Name string
	// Path is its collection's, such as "/vault_secrets". The command is named after it: vault-secrets.
	Path string
	// ListKey is the name of the items in the collection's answer.
	ListKey string
	// Prefix is that of its ids.
	Prefix string
	// Verbs are those it has.
	Verbs []Verb
	// Actions are what else can be asked of one object.
	Actions []Action
	// Fields are those of the object besides id and uri, in the order of documents.
	Fields []Field
	// Filter are the fields that a filter may name; none means that the list takes no filter.
	Filter []string
	// EmptyUpdate is the fault of an update that names no field; "" means that it changes nothing.
	EmptyUpdate fault.Code
	// NotFound is the code when an object is not there; "" means that the answer has none.
	NotFound fault.Code
	// Answer is a zero value of the struct that it is answered as, such as Vault{}.
	Answer any
	// Also are other prefixes of ids that name the same objects (api.md 1.4).
	Also []string
	// SpellingOf, if not "", is the path of the resource that this one is the older spelling of.
	SpellingOf string
	// Aliases are other names of its command.
	Aliases []string
	// AnyOf are parameters of its list, repeatable: one of the values has to be that of the field with this
	// name (api.md 1.6).
	AnyOf []string
	// Force says that ?force=true may stand at the end of a creation or update.
	Force bool
	// Doc says what it is, in a sentence.
	Doc string
}

// Action is a request about one object beside the verbs, such as POST /tunnel_sessions/ID/stop.
type Action struct {
	// Name is its command and the last segment of its path, unless Path says another one.
	Name, Path string
	// Aliases are other names of its command.
	Aliases []string
	// Method is POST, GET or DELETE.
	Method string
	// Fields are those of the request's body.
	Fields []Field
	// Lists, if not "", is the path of the collection whose items the action lists.
	Lists string
	// Doc says what it does, in a phrase.
	Doc string
}

// Can reports whether the resource has a verb.
func (r *Resource) Can(v Verb) bool {
	for _, have := range r.Verbs {
		if have == v {
			return true
		}
	}
	return false
}

// Ref names another object.
type Ref struct {
	ID  string `json:"id"`
	URI string `json:"uri"`
}

// Meta is what every object begins with.
type Meta struct {
	ID  string `json:"id"`
	URI string `json:"uri"`
	// CreatedAt has whole seconds.
	CreatedAt time.Time `json:"created_at"`
}

// Texts are what owners note of an object.
type Texts struct {
	Description string `json:"description"`
	Metadata    string `json:"metadata"`
}

// Bounds of the texts, in bytes.
const (
	MaxDescription = 255
	MaxMetadata    = 4096
	MaxPolicy      = 256 << 10 // reliability-security.md 9.3
)

// maxQuoted is how many bytes JSON may write for one of a text, as \u003c.
const maxQuoted = 6

// MaxBody is the largest body, in bytes, of a request that makes or changes an object: 1 MiB (api.md 1.3), or as much
// as the longest texts of its fields may need in JSON.
func (r *Resource) MaxBody() int64 {
	const least = 1 << 20
	texts := 0
	for i := range r.Fields {
		if f := &r.Fields[i]; f.Usable(true) || f.Usable(false) {
			texts += f.Max
		}
	}
	return max(least, int64(texts)*maxQuoted+least/16)
}

// Error is the body of every answer from 400 up (api.md 1.7).
type Error struct {
	// ErrorCode is the fault's, "" where it has none.
	ErrorCode string `json:"error_code,omitempty"`
	// StatusCode is the answer's.
	StatusCode int `json:"status_code"`
	// Msg is the cause and the remedy.
	Msg string `json:"msg"`
	// Details are further facts, all of them texts.
	Details map[string]string `json:"details"`
}

// crud are the verbs of a resource that is made and changed by its owner.
func crud() []Verb { return []Verb{Create, Get, List, Update, Delete} }

// texts are the fields of [Texts], with the codes of longer ones.
func texts(description, metadata fault.Code) []Field {
	return []Field{
		{Name: "description", Create: Optional, Update: Optional, Max: MaxDescription, TooLong: description, Doc: "what it is for, up to 255 bytes"},
		{Name: "metadata", Create: Optional, Update: Optional, Max: MaxMetadata, TooLong: metadata, Doc: "any text of yours, up to 4096 bytes"},
	}
}

// All returns the tables of all resources, in the order of the manual.
func All() []*Resource {
	return []*Resource{
		Endpoints(), Domains(), ReservedAddresses(), AgentIngresses(), TLSCertificates(), CertificateAuthorities(), IPPolicies(), IPPolicyRules(), IPRestrictions(), Credentials(), APIKeys(), ServiceUsers(),
		BotUsers(), Vaults(), Secrets(), TunnelSessions(), Tunnels(), SSHCredentials(),
	}
}
