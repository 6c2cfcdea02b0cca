package fault

// Faults of endpoint URLs, host names and bindings (endpoints.md 3).
const (
	// URLUnparseable means that a URL cannot be parsed. Arguments: the text, why.
	URLUnparseable Code = "ERR_NGROK_9034"
	// PortRefused means that a public URL has a port the server does not listen on. Arguments: the port, the URL, the scheme, the allowed ports.
	PortRefused Code = "ERR_NGROK_9035"
	// SchemeRefused means that a URL's scheme is unknown or does not fit the command. Arguments: the scheme, the URL, the allowed schemes.
	SchemeRefused Code = "ERR_NGROK_9036"
	// URLExtraPart means that a URL has userinfo, a path, a query or a fragment. Arguments: the URL, the part's name.
	URLExtraPart Code = "ERR_NGROK_9037"
	// URLTrailingSlash means that a URL has a bare slash at its end. Arguments: the URL, the URL without it.
	URLTrailingSlash Code = "ERR_NGROK_9038"
	// PortMissing means that a tcp URL with a host lacks a port. Argument: the URL.
	PortMissing Code = "ERR_NGROK_18003"
	// InternalNoHost means that an internal endpoint has no host. No argument.
	InternalNoHost Code = "ERR_NGROK_9028"
	// InternalSuffix means that the binding internal was given with another name. Argument: the host.
	InternalSuffix Code = "ERR_NGROK_9029"
	// PublicInternal means that a .internal name was given with another binding. Arguments: the host, the binding.
	PublicInternal Code = "ERR_NGROK_9030"
	// InternalDepth means that an internal name is too deep or has no label. Arguments: the host, the number of labels.
	InternalDepth Code = "ERR_NGROK_9031"
	// KubernetesNoHost means that a kubernetes endpoint has no host. No argument.
	KubernetesNoHost Code = "ERR_NGROK_9039"
	// KubernetesHost means that a kubernetes endpoint's host is not service.namespace. Argument: the host.
	KubernetesHost Code = "ERR_NGROK_9040"
	// KubernetesScheme means that a kubernetes endpoint has the scheme https. Argument: the scheme.
	KubernetesScheme Code = "ERR_NGROK_9041"
	// HostCharacters means that a host name has a forbidden character. Argument: the host.
	HostCharacters Code = "ERR_NGROK_326"
	// HostUnderscore means that a host name has an underscore. Argument: the host.
	HostUnderscore Code = "ERR_NGROK_355"
	// HostEmptyLabel means that a host name has an empty label. Argument: the host.
	HostEmptyLabel Code = "ERR_NGROK_327"
	// HostLabelStart means that a label starts with something else than a letter or digit. Arguments: the label, the host.
	HostLabelStart Code = "ERR_NGROK_328"
	// HostLabelEnd means that a label ends with something else than a letter or digit. Arguments: the label, the host.
	HostLabelEnd Code = "ERR_NGROK_329"
	// HostHyphens means that a label has -- where only xn-- may. Arguments: the label, the host.
	HostHyphens Code = "ERR_NGROK_330"
	// HostPunycode means that punycode is wrong. Arguments: the label, the host.
	HostPunycode Code = "ERR_NGROK_347"
	// HostLabelLength means that a label is too long. Arguments: the host, the length.
	HostLabelLength Code = "ERR_NGROK_396"
	// HostLength means that a host name is too long. Argument: its length.
	HostLength Code = "ERR_NGROK_397"
	// WildcardPlace means that an asterisk is not the whole first label. Argument: the host.
	WildcardPlace Code = "ERR_NGROK_321"
	// WildcardTCP means that a tcp URL has a wildcard. Argument: the host.
	WildcardTCP Code = "ERR_CULVERT_1403"
	// BindingInvalid means that a binding is unknown or that several were given. Argument: the binding or bindings.
	BindingInvalid Code = "ERR_NGROK_15005"
	// BindingRepeated means that a binding was repeated. Argument: the binding.
	BindingRepeated Code = "ERR_NGROK_15006"
)

func nameEntries() []Entry {
	return []Entry{
		{
			Code: URLUnparseable, Status: 400, Title: "The URL cannot be read",
			Message: "%q is not a URL that an endpoint can have: %s.",
			Remedy:  "Write it as scheme://host, for example https://app.example.com or tcp://app.example.com:22, or leave it empty to get an address from the server.",
		},
		{
			Code: PortRefused, Status: 400, Title: "Port not allowed",
			Message: "The port %d of %s is not open on this server; allowed for %s: %s.",
			Remedy:  "Leave the port out or use an allowed one. The server's administrator can open more with extra_listeners.",
		},
		{
			Code: SchemeRefused, Status: 400, Title: "Scheme not allowed",
			Message: "The scheme %q of %s cannot be used here; allowed: %s.",
			Remedy:  "Use one of these schemes, or the command for the other kind of endpoint.",
		},
		{
			Code: URLExtraPart, Status: 400, Title: "The URL has a part that endpoints cannot have",
			Message: "The URL %s has %s, which an endpoint cannot have.",
			Remedy:  "Remove it: an endpoint is scheme, host and port only. Paths and headers belong into a traffic policy.",
		},
		{
			Code: URLTrailingSlash, Status: 400, Title: "The URL ends with a slash",
			Message: "The URL %s ends with a slash.",
			Remedy:  "Did you mean %[2]s?",
		},
		{
			Code: PortMissing, Status: 400, Title: "The URL needs a port",
			Message: "The URL %s has no port, and the scheme tcp has no default one.",
			Remedy:  "Add a port, as in %[1]s:20000, or use tcp:// alone to get an address from the server.",
		},
		{
			Code: InternalNoHost, Status: 400, Title: "Internal endpoints need a name",
			Message: "An internal endpoint needs a host name; the server assigns none.",
			Remedy:  "Name it, for example https://api.internal.",
		},
		{
			Code: InternalSuffix, Status: 400, Title: "Not an internal name",
			Message: "The host %s cannot be an internal endpoint: it does not end in .internal.",
			Remedy:  "Use a name that ends in .internal, or leave the binding internal out.",
		},
		{
			Code: PublicInternal, Status: 400, Title: "An internal name cannot be public",
			Message: "The host %s ends in .internal and cannot have the binding %s.",
			Remedy:  "Leave the binding out, or use another name.",
		},
		{
			Code: InternalDepth, Status: 400, Title: "Too many labels",
			Message: "The internal name %s has %d labels before .internal; 1 to 5 are allowed.",
			Remedy:  "Shorten the name.",
		},
		{
			Code: KubernetesNoHost, Status: 400, Title: "Kubernetes endpoints need a name",
			Message: "An endpoint with the binding kubernetes needs a host name; the server assigns none.",
			Remedy:  "Name it service.namespace, for example http://web.default.",
		},
		{
			Code: KubernetesHost, Status: 400, Title: "Not a kubernetes name",
			Message: "The host %s cannot have the binding kubernetes: exactly two labels, service.namespace, are needed, without a wildcard.",
			Remedy:  "Name it service.namespace, for example http://web.default.",
		},
		{
			Code: KubernetesScheme, Status: 400, Title: "Scheme not possible for kubernetes",
			Message: "The scheme %s cannot have the binding kubernetes; http, tcp and tls can.",
			Remedy:  "Use http, tcp or tls.",
		},
		{
			Code: HostCharacters, Status: 400, Title: "Character not allowed",
			Message: "The host name %q has characters that are not allowed: a-z, 0-9, dots and hyphens are.",
			Remedy:  "Correct the name.",
		},
		{
			Code: HostUnderscore, Status: 400, Title: "Underscore not allowed",
			Message: "The host name %s has an underscore.",
			Remedy:  "Use a hyphen instead.",
		},
		{
			Code: HostEmptyLabel, Status: 400, Title: "Empty label",
			Message: "The host name %s has an empty label: a dot at its start or two dots in a row.",
			Remedy:  "Remove the surplus dot.",
		},
		{
			Code: HostLabelStart, Status: 400, Title: "Label starts with a hyphen",
			Message: "The label %s of the host name %s does not start with a letter or digit.",
			Remedy:  "Start it with a letter or digit.",
		},
		{
			Code: HostLabelEnd, Status: 400, Title: "Label ends with a hyphen",
			Message: "The label %s of the host name %s does not end with a letter or digit.",
			Remedy:  "End it with a letter or digit.",
		},
		{
			Code: HostHyphens, Status: 400, Title: "Two hyphens at positions 3 and 4",
			Message: "The label %s of the host name %s has -- at positions 3 and 4, which is kept for international names.",
			Remedy:  "Use another name.",
		},
		{
			Code: HostPunycode, Status: 400, Title: "Not a valid international name",
			Message: "The label %s of the host name %s is not a valid international name.",
			Remedy:  "Correct the name, or write it in its own script.",
		},
		{
			Code: HostLabelLength, Status: 400, Title: "Label too long",
			Message: "A label of the host name %s has %d characters; at most 63 are allowed.",
			Remedy:  "Shorten the label.",
		},
		{
			Code: HostLength, Status: 400, Title: "Name too long",
			Message: "The host name has %d characters; at most 253 are allowed.",
			Remedy:  "Shorten the name.",
		},
		{
			Code: WildcardPlace, Status: 400, Title: "Wildcard at a wrong place",
			Message: "The wildcard in %s must be the whole first label, with a name after it, as in *.example.com.",
			Remedy:  "Move the wildcard to the front, or write the name out.",
		},
		{
			Code: WildcardTCP, Status: 400, Title: "Wildcards are for names",
			Message: "A tcp endpoint cannot have the wildcard host %s: tcp connections carry no name.",
			Remedy:  "Use an http, https or tls endpoint, or a host without a wildcard.",
		},
		{
			Code: BindingInvalid, Status: 400, Title: "Binding not valid",
			Message: "The binding %s is not valid; one of public, internal and kubernetes is.",
			Remedy:  "Give exactly one of them, or none to have it follow from the name.",
		},
		{
			Code: BindingRepeated, Status: 400, Title: "Binding repeated",
			Message: "The binding %s was given twice.",
			Remedy:  "Give it once.",
		},
	}
}
