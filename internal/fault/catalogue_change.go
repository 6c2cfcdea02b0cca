package fault

// Mistakes in what a Traffic Policy changes or answers (traffic-policy.md 3.1). Argument: what is wrong and where.
const (
	// HeaderNameTooLong means a header's name that is too long.
	HeaderNameTooLong Code = "ERR_NGROK_2208"
	// HeaderValueTooLong means a header's value that is too long.
	HeaderValueTooLong Code = "ERR_NGROK_2209"
	// HeaderNameInvalid means a name that no header can have.
	HeaderNameInvalid Code = "ERR_NGROK_2210"
	// HeaderValueInvalid means a value that no header can have.
	HeaderValueInvalid Code = "ERR_NGROK_2211"
	// HeaderTemplateInvalid means an expression in a header to add that does not compile.
	HeaderTemplateInvalid Code = "ERR_NGROK_2213"
	// HeaderReserved means a header that a policy may not change.
	HeaderReserved Code = "ERR_NGROK_2219"
)

// Faults of such changes at work (traffic-policy.md 3.2).
const (
	// RewrittenURLInvalid means that finding and replacing has made something that is no URL. Argument: what is wrong.
	RewrittenURLInvalid Code = "ERR_NGROK_2247"
	// BodyNotAllowed means a body for a status that has none. Argument: the status.
	BodyNotAllowed Code = "ERR_NGROK_3604"
	// ReplacementFailed means a text of a replacement that could not be evaluated. Argument: the cause.
	ReplacementFailed Code = "ERR_NGROK_3900"
	// ReplacementPattern means a computed pattern that is no regular expression. Argument: the cause.
	ReplacementPattern Code = "ERR_NGROK_3901"
	// BodyUnreadable means a body that could not be read or decoded. Argument: the cause.
	BodyUnreadable Code = "ERR_NGROK_3902"
	// BodyTooLarge means a body over the limit of what is changed, before or after. Argument: the limit in bytes.
	BodyTooLarge Code = "ERR_NGROK_3903"
)

func changeEntries() []Entry {
	entries := []Entry{
		{
			Code: RewrittenURLInvalid, Status: 500, Title: "The policy has made something that is no URL",
			Message: "Finding and replacing in the URL of the request failed: %s.",
			Remedy:  "The owner of the endpoint has to correct from and to of the action.",
		},
		{
			Code: BodyNotAllowed, Status: 500, Title: "The answer of the policy may not have a body",
			Message: "The policy answers with a body and the status %s, which allows none.",
			Remedy:  "The owner of the endpoint has to leave the body out, or use another status.",
		},
		{
			Code: ReplacementFailed, Status: 500, Title: "A replacement could not be evaluated",
			Message: "An expression in a replacement of the policy failed: %s.",
			Remedy:  "Guard the expression, for example with has(), or give it a value for this case.",
		},
		{
			Code: ReplacementPattern, Status: 500, Title: "A replacement's pattern is not valid",
			Message: "A pattern that the policy has computed is not valid: %s.",
			Remedy:  "Quote what comes from outside before it becomes part of a regular expression.",
		},
		{
			Code: BodyUnreadable, Status: 500, Title: "A body to be changed could not be read",
			Message: "The policy changes a body that could not be read: %s.",
			Remedy:  "Try again; if it lasts, the body does not have the encoding that its header names.",
		},
		{
			Code: BodyTooLarge, Status: 500, Title: "A body to be changed is too large",
			Message: "The policy changes a body that has more than %s bytes before or after.",
			Remedy:  "Let the rule leave large bodies alone, for example by req.content_length or res.content_length.",
		},
	}
	for _, e := range [...]struct {
		code           Code
		title, message string
	}{
		{HeaderNameTooLong, "Header name too long", "A header of the policy has a name that is too long: %s."},
		{HeaderValueTooLong, "Header value too long", "A header of the policy has a value that is too long: %s."},
		{HeaderNameInvalid, "Header name is not valid", "A header of the policy has a name that is not valid: %s."},
		{HeaderValueInvalid, "Header value is not valid", "A header of the policy has a value that is not valid: %s."},
		{HeaderTemplateInvalid, "Expression in a header does not compile", "An expression in a header of the policy does not compile: %s."},
		{HeaderReserved, "Header may not be changed", "The policy changes a header that it may not change: %s."},
	} {
		entries = append(entries, Entry{
			Code: e.code, Status: 400, Title: e.title, Message: e.message,
			Remedy: "Correct the policy at the place that is named; \"culvert policy check FILE\" finds all mistakes at once.",
		})
	}
	return entries
}
