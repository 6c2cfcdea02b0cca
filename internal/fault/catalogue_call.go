package fault

// Faults of requests that a policy makes of its own (traffic-policy.md 6.10).
const (
	// CallRedirects means more redirects than the action follows. Argument: how many it follows.
	CallRedirects Code = "ERR_NGROK_3214"
	// CallFailed means that a request of the policy got no usable answer. Argument: the cause.
	CallFailed Code = "ERR_NGROK_3601"
	// CallTimeout means that a request of the policy took too long. Argument: the limit.
	CallTimeout Code = "ERR_NGROK_3602"
	// CallLoop means that requests of policies lead to each other. Argument: how deep they may.
	CallLoop Code = "ERR_NGROK_3603"
)

func callEntries() []Entry {
	return []Entry{
		{
			Code: CallRedirects, Status: 502, Title: "Too many redirects",
			Message: "A request that the policy of this endpoint makes was redirected more than %d times.",
			Remedy:  "The owner of the endpoint has to name the final URL, or raise max_redirects.",
		},
		{
			Code: CallFailed, Status: 502, Title: "A request of the policy failed",
			Message: "A request that the policy of this endpoint makes failed: %s.",
			Remedy:  "Try again; if it lasts, tell the owner of the endpoint.",
		},
		{
			Code: CallTimeout, Status: 504, Title: "A request of the policy took too long",
			Message: "A request that the policy of this endpoint makes was not answered within %s.",
			Remedy:  "Try again; the owner of the endpoint can raise the timeout of the action.",
		},
		{
			Code: CallLoop, Status: 508, Title: "Requests of policies lead to each other",
			Message: "A request passed more than %d times from one policy to the next.",
			Remedy:  "The owner of the endpoint has to keep http-request from asking an endpoint that asks back.",
		},
	}
}
