package fault

// Faults of endpoints that stand on the server (api.md 2.1, endpoints.md 12). The texts of the three about a URL
// that is taken must not hold the word for the rules of traffic: a client tells by it what to try again
// (api.md 9.1).
const (
	// EndpointTypeInvalid means that a type other than cloud was asked for. Arguments: the field, what is wrong.
	EndpointTypeInvalid Code = "ERR_NGROK_248"
	// EndpointURLUnreadable means that an endpoint's url is no URL. Arguments: the URL, why.
	EndpointURLUnreadable Code = "ERR_NGROK_249"
	// EndpointURLInvalid means that an endpoint cannot have the URL. Arguments: the URL, why.
	EndpointURLInvalid Code = "ERR_NGROK_18001"
	// EndpointPolicyInvalid means that an endpoint's policy has mistakes. Argument: their number; they are appended.
	EndpointPolicyInvalid Code = "ERR_NGROK_18002"
	// EndpointUpdateEmpty means that an update of an endpoint changes nothing.
	EndpointUpdateEmpty Code = "ERR_NGROK_18004"
	// EndpointSchemeFixed means that an update has a URL of another scheme. Arguments: the scheme, the other one.
	EndpointSchemeFixed Code = "ERR_NGROK_18005"
	// EndpointNotReserved means that the account may not have the name or address. Arguments: the URL, why, as a sentence without its full stop.
	EndpointNotReserved Code = "ERR_NGROK_18006"
	// EndpointBinding means that the bindings are not one known binding. Argument: why.
	EndpointBinding Code = "ERR_NGROK_18007"
	// EndpointTaken means that another endpoint has the URL and neither shares it. Argument: the URL.
	EndpointTaken Code = "ERR_NGROK_18009"
	// EndpointPolicyMissing means that an endpoint has no policy.
	EndpointPolicyMissing Code = "ERR_NGROK_18011"
	// EndpointMetadataLong means that the metadata of an endpoint are too long.
	EndpointMetadataLong Code = "ERR_NGROK_18013"
	// EndpointFieldInvalid means that a field has an impossible value. Arguments: the field, what is wrong.
	EndpointFieldInvalid Code = "ERR_NGROK_18014"
	// EndpointFieldMissing means that a field is missing. Argument: the field.
	EndpointFieldMissing Code = "ERR_NGROK_18015"
	// EndpointOtherAlone means that the endpoint that has the URL does not share it. Argument: the URL.
	EndpointOtherAlone Code = "ERR_NGROK_18016"
	// EndpointAlone means that endpoints that have the URL share it and this one would not. Argument: the URL.
	EndpointAlone Code = "ERR_NGROK_18017"
	// EndpointKubernetesScheme means that a kubernetes endpoint has the scheme https.
	EndpointKubernetesScheme Code = "ERR_NGROK_18018"
	// EndpointsTooMany means that the server has as many endpoints as it may. Argument: the limit.
	EndpointsTooMany Code = "ERR_NGROK_18021"
	// EndpointScheme means that an endpoint's url has no scheme, or an unknown one. Argument: the URL.
	EndpointScheme Code = "ERR_NGROK_18022"
	// EndpointPort means that the server does not listen on the URL's port. Arguments: the port, the scheme, the ports there are.
	EndpointPort Code = "ERR_NGROK_18023"
	// CloudUnanswered means that the policy of an endpoint without an agent let a request through. Argument: the endpoint's URL.
	CloudUnanswered Code = "ERR_NGROK_6029"
	// EndpointOfAgent means that the endpoint of an agent was to be changed. Argument: its id.
	EndpointOfAgent Code = "ERR_CULVERT_1660"
)

func cloudEntries() []Entry {
	return []Entry{
		{Code: EndpointTypeInvalid, Status: 400, Title: "Endpoint type not valid", Message: "The field %q is not valid: %s.", Remedy: "Make endpoints of the type cloud; those of agents come and go with their agents."},
		{Code: EndpointURLUnreadable, Status: 400, Title: "Not a URL", Message: "%q is not a URL of an endpoint: %s.", Remedy: "Write it like https://app.example.com or tcp://db.internal:5432."},
		{Code: EndpointURLInvalid, Status: 400, Title: "URL not valid", Message: "An endpoint cannot have the URL %q: %s.", Remedy: "Choose another URL, like https://app.example.com."},
		{Code: EndpointPolicyInvalid, Status: 400, Title: "The traffic policy is not valid", Message: "The traffic policy is not valid (mistakes: %d).", Remedy: "Correct the policy at these places; culvert policy check tells them too."},
		{Code: EndpointUpdateEmpty, Status: 400, Title: "Nothing to update", Message: "The update names no field of the endpoint.", Remedy: "Name at least one field that is to change."},
		{Code: EndpointSchemeFixed, Status: 400, Title: "The scheme cannot be changed", Message: "The endpoint has the scheme %s, and its URL cannot become one of %s.", Remedy: "Make another endpoint and delete this one."},
		{Code: EndpointNotReserved, Status: 400, Title: "The name is not yours", Message: "The endpoint cannot have the URL %q. %s.", Remedy: "Use a name under a base domain of this server, a name that you have reserved, a TCP port of its range, or a name in .internal."},
		{Code: EndpointBinding, Status: 400, Title: "Binding not valid", Message: "The bindings are not valid: %s.", Remedy: "Give one of public and internal, or none: then the URL decides."},
		{Code: EndpointTaken, Status: 400, Title: "The URL is taken", Message: "Another endpoint has the URL %s.", Remedy: "Delete or stop the other one, or let both share the URL: set pooling_enabled on each."},
		{Code: EndpointPolicyMissing, Status: 400, Title: "The traffic policy is missing", Message: "An endpoint without an agent has to have a traffic policy.", Remedy: "Give a traffic_policy that answers every request, for example with custom-response or forward-internal."},
		{Code: EndpointMetadataLong, Status: 400, Title: "Metadata too long", Message: "The metadata of an endpoint have at most 4096 bytes.", Remedy: "Shorten them."},
		{Code: EndpointFieldInvalid, Status: 400, Title: "Invalid value", Message: "The field %q is not valid: %s.", Remedy: "Correct the value."},
		{Code: EndpointFieldMissing, Status: 400, Title: "Field missing", Message: "The field %q is missing.", Remedy: "Give it a value."},
		{Code: EndpointOtherAlone, Status: 400, Title: "The other endpoint does not share its URL", Message: "Another endpoint has the URL %s and does not share it.", Remedy: "Set pooling_enabled on that endpoint too, or delete it."},
		{Code: EndpointAlone, Status: 400, Title: "The other endpoints share their URL", Message: "Other endpoints share the URL %s, and this one would not.", Remedy: "Set pooling_enabled on this endpoint, or delete the others."},
		{Code: EndpointKubernetesScheme, Status: 400, Title: "Scheme not possible in Kubernetes", Message: "An endpoint with the binding kubernetes cannot have the scheme https.", Remedy: "Use http, tls or tcp."},
		{Code: EndpointsTooMany, Status: 400, Title: "Too many endpoints", Message: "%d endpoints stand on the server or are online, which is the limit.", Remedy: "Delete one, or have the administrator raise \"endpoints\" under \"limits\"."},
		{Code: EndpointScheme, Status: 400, Title: "Scheme missing or unknown", Message: "The URL %q has no scheme, or one that is not known; http, https, tcp and tls are.", Remedy: "Write the scheme too, like https://app.example.com."},
		{Code: EndpointPort, Status: 400, Title: "Port not possible", Message: "The server does not listen on port %d for %s endpoints; its ports for them are %s.", Remedy: "Use one of these ports."},
		{
			Code: CloudUnanswered, Status: 500, Title: "Nobody has answered",
			Message: "The endpoint %s stands on the server, and its traffic policy has let the request through without an answer.",
			Remedy:  "Let its policy end every request, for example with custom-response, forward-internal or deny.",
		},
		{Code: EndpointOfAgent, Status: 400, Title: "The endpoint belongs to an agent", Message: "The endpoint %s is managed by its agent.", Remedy: "Change it where the agent runs, or stop the agent's session."},
	}
}
