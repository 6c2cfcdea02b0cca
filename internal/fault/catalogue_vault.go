package fault

// Faults of vaults and secrets (api.md 2.8).
const (
	// VaultName means that a vault's name has other characters than it may have. Argument: the name.
	VaultName Code = "ERR_NGROK_23000"
	// VaultNameEmpty means that a vault has no name.
	VaultNameEmpty Code = "ERR_NGROK_23001"
	// VaultNameLong means that a vault's name is too long.
	VaultNameLong Code = "ERR_NGROK_23002"
	// VaultNotEmpty means that a vault to be deleted has secrets. Argument: the vault's name.
	VaultNotEmpty Code = "ERR_NGROK_23003"
	// VaultNameTaken means that another vault has the name. Argument: the name.
	VaultNameTaken Code = "ERR_NGROK_23004"
	// SecretName means that a secret's name has other characters than it may have. Argument: the name.
	SecretName Code = "ERR_NGROK_24000"
	// SecretNameEmpty means that a secret has no name.
	SecretNameEmpty Code = "ERR_NGROK_24001"
	// SecretNameLong means that a secret's name is too long.
	SecretNameLong Code = "ERR_NGROK_24002"
	// SecretValueEmpty means that a secret has no value.
	SecretValueEmpty Code = "ERR_NGROK_24003"
	// SecretValueLong means that a secret's value is too long.
	SecretValueLong Code = "ERR_NGROK_24004"
	// SecretNameTaken means that the vault has another secret of the name. Argument: the name.
	SecretNameTaken Code = "ERR_NGROK_24005"
	// SecretVaultUnknown means that there is no vault with the id. Argument: the id.
	SecretVaultUnknown Code = "ERR_NGROK_24006"
	// SecretVaultMissing means that neither id nor name of the vault is given.
	SecretVaultMissing Code = "ERR_NGROK_24008"
	// SecretVaultName means that there is no vault with the name. Argument: the name.
	SecretVaultName Code = "ERR_NGROK_24009"
)

func vaultEntries() []Entry {
	const letters = "Use letters, digits, _, /, . and -."
	return []Entry{
		{Code: VaultName, Status: 400, Title: "Vault name not valid", Message: "The vault name %q holds characters that it may not have.", Remedy: letters},
		{Code: VaultNameEmpty, Status: 400, Title: "Vault name missing", Message: "The vault has no name.", Remedy: "Give it a name."},
		{Code: VaultNameLong, Status: 400, Title: "Vault name too long", Message: "The name of a vault has at most 255 bytes.", Remedy: "Choose a shorter name."},
		{Code: VaultNotEmpty, Status: 400, Title: "Vault not empty", Message: "The vault %q still holds secrets.", Remedy: "Delete its secrets first."},
		{Code: VaultNameTaken, Status: 400, Title: "Vault name taken", Message: "There is a vault called %q already.", Remedy: "Choose another name, or use that vault."},
		{Code: SecretName, Status: 400, Title: "Secret name not valid", Message: "The secret name %q holds characters that it may not have.", Remedy: letters},
		{Code: SecretNameEmpty, Status: 400, Title: "Secret name missing", Message: "The secret has no name.", Remedy: "Give it a name."},
		{Code: SecretNameLong, Status: 400, Title: "Secret name too long", Message: "The name of a secret has at most 255 bytes.", Remedy: "Choose a shorter name."},
		{Code: SecretValueEmpty, Status: 400, Title: "Secret value missing", Message: "The secret has no value.", Remedy: "Give it a value."},
		{Code: SecretValueLong, Status: 400, Title: "Secret value too long", Message: "The value of a secret has at most 64 KiB.", Remedy: "Store less in one secret."},
		{Code: SecretNameTaken, Status: 400, Title: "Secret name taken", Message: "The vault has a secret called %q already.", Remedy: "Choose another name, or update that secret."},
		{Code: SecretVaultUnknown, Status: 404, Title: "Vault not found", Message: "There is no vault with the id %q.", Remedy: "List your vaults with culvert api vaults list."},
		{Code: SecretVaultMissing, Status: 400, Title: "Vault missing", Message: "Neither vault_id nor vault_name says which vault the secret belongs to.", Remedy: "Give one of the two."},
		{Code: SecretVaultName, Status: 400, Title: "Vault not found", Message: "There is no vault called %q.", Remedy: "List your vaults with culvert api vaults list."},
	}
}
