package fault

// Faults of agent ingresses (api.md 2.16).
const (
	// IngressForeign means that an agent connects to the ingress of another account. Argument: the name.
	IngressForeign Code = "ERR_NGROK_118"
	// IngressDescription means that the description is too long.
	IngressDescription Code = "ERR_NGROK_6700"
	// IngressMetadata means that the metadata are too long.
	IngressMetadata Code = "ERR_NGROK_6701"
	// IngressDomain means that a name is none that agents may connect to. Arguments: the field, what is wrong.
	IngressDomain Code = "ERR_NGROK_6704"
	// IngressDomainOurs means that a name lies under a base domain. Argument: the name.
	IngressDomainOurs Code = "ERR_NGROK_6705"
	// IngressDomainTaken means that somebody has the name already. Argument: the name.
	IngressDomainTaken Code = "ERR_NGROK_6706"
)

func ingressEntries() []Entry {
	return []Entry{
		{Code: IngressForeign, Status: 403, Title: "Not your agent ingress", Message: "Agents of this account may not connect to %s, which is the agent ingress of another account.", Remedy: "Connect to an ingress of your own, or to the server's own address."},
		{Code: IngressDescription, Status: 400, Title: "Description too long", Message: "The description is too long: it may have 255 bytes.", Remedy: "Shorten the description."},
		{Code: IngressMetadata, Status: 400, Title: "Metadata too long", Message: "The metadata are too long: they may have 4096 bytes.", Remedy: "Shorten the metadata."},
		{Code: IngressDomain, Status: 400, Title: "Not a name for agents", Message: "The field %q is not valid: %s.", Remedy: "Give a whole name such as connect.example.com."},
		{Code: IngressDomainOurs, Status: 400, Title: "A name of this server", Message: "The name %s lies under a base domain of this server, or above one.", Remedy: "Give a name of your own such as connect.example.com; agents reach this server under its own name anyway."},
		{Code: IngressDomainTaken, Status: 400, Title: "Already taken", Message: "The name %s is reserved already, or lies under one that another account has reserved.", Remedy: "Choose another name."},
	}
}
