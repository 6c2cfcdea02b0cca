package fault

// Mistakes in a Traffic Policy, found when it is loaded (traffic-policy.md 3.1). Argument: what is wrong and where.
const (
	// ExpressionInvalid means an expression that does not compile.
	ExpressionInvalid Code = "ERR_NGROK_2200"
	// ActionUnknown means an unknown type of action.
	ActionUnknown Code = "ERR_NGROK_2201"
	// ActionPhase means an action in a phase where it cannot stand.
	ActionPhase Code = "ERR_NGROK_2202"
	// ActionConfigInvalid means a configuration of an action that does not decode.
	ActionConfigInvalid Code = "ERR_NGROK_2203"
	// PolicyValueInvalid means a value that is not valid.
	PolicyValueInvalid Code = "ERR_NGROK_2204"
	// ActionScheme means an action that the endpoint's protocol lacks.
	ActionScheme Code = "ERR_NGROK_2205"
	// PolicyWithoutAction means a document without any action.
	PolicyWithoutAction Code = "ERR_NGROK_2206"
	// ActionUnreachable means an action behind one that always ends the phase.
	ActionUnreachable Code = "ERR_NGROK_2207"
	// TooManyHeaders means more headers than allowed.
	TooManyHeaders Code = "ERR_NGROK_2212"
	// CompressionUnknown means an unknown algorithm of compression.
	CompressionUnknown Code = "ERR_NGROK_2214"
	// NumberOutOfRange means a number outside of its range.
	NumberOutOfRange Code = "ERR_NGROK_2215"
	// IPPolicyUnknown means an IP policy that the account does not have.
	IPPolicyUnknown Code = "ERR_NGROK_2216"
	// CIDRInvalid means a text that is no address range.
	CIDRInvalid Code = "ERR_NGROK_2217"
	// PolicyTooMany means more entries than allowed.
	PolicyTooMany Code = "ERR_NGROK_2218"
	// TextTooLong means a text that is too long.
	TextTooLong Code = "ERR_NGROK_2221"
	// PolicyValueUnknown means a value that is not among those allowed.
	PolicyValueUnknown Code = "ERR_NGROK_2222"
	// PolicyValueEmpty means a required value that is empty.
	PolicyValueEmpty Code = "ERR_NGROK_2223"
	// TemplateInvalid means an interpolated expression that does not compile.
	TemplateInvalid Code = "ERR_NGROK_2224"
	// PhaseUnavailable means a phase that the endpoint's protocol lacks.
	PhaseUnavailable Code = "ERR_NGROK_2230"
	// PolicyDuplicate means a value that a list has twice.
	PolicyDuplicate Code = "ERR_NGROK_2231"
	// PolicyElementMissing means a required setting that is missing.
	PolicyElementMissing Code = "ERR_NGROK_2234"
	// PolicyMayNotAnswer means a cloud endpoint's policy that may leave a request without an answer.
	PolicyMayNotAnswer Code = "ERR_NGROK_2235"
	// PolicyInvalid means a document that does not parse.
	PolicyInvalid Code = "ERR_NGROK_2236"
	// TextTooShort means a text that is too short.
	TextTooShort Code = "ERR_NGROK_2237"
	// PolicyFieldNeedsAnother means a setting without the one that belongs to it.
	PolicyFieldNeedsAnother Code = "ERR_NGROK_2240"
	// VariablesTooDeep means a variable that nests too deep.
	VariablesTooDeep Code = "ERR_NGROK_2250"
	// VariablesInvalid means variables that are no list of mappings with one entry.
	VariablesInvalid Code = "ERR_NGROK_2252"
	// PolicyTooManyElements means too many elements in one action.
	PolicyTooManyElements Code = "ERR_NGROK_2255"
	// UsernameInvalid means a user name that basic authentication cannot carry.
	UsernameInvalid Code = "ERR_NGROK_2257"
	// PasswordInvalid means a password that basic authentication cannot carry.
	PasswordInvalid Code = "ERR_NGROK_2258"
	// PatternInvalid means a field that is no regular expression.
	PatternInvalid Code = "ERR_NGROK_2261"
	// ConnectOnInternal means a connect phase on an internal HTTP endpoint.
	ConnectOnInternal Code = "ERR_NGROK_2262"
)

// Faults of a policy at work (traffic-policy.md 3.2).
const (
	// PolicyUnresolved means a setting that turned out not to be valid when the action ran. Argument: what.
	PolicyUnresolved Code = "ERR_NGROK_2232"
	// InterpolationFailed means a text of an action that could not be evaluated.
	InterpolationFailed Code = "ERR_NGROK_2238"
	// CircuitOpen means a request that an open circuit breaker has held back.
	CircuitOpen Code = "ERR_NGROK_3202"
	// AddressRefused means an address that the policy does not let in.
	AddressRefused Code = "ERR_NGROK_3203"
	// UserAgentRefused means a program that the endpoint's filter does not let in, as its User-Agent header names it.
	UserAgentRefused Code = "ERR_NGROK_3211"
	// PolicyInternal means an internal fault of an action. Argument: the action.
	PolicyInternal Code = "ERR_NGROK_2300"
)

// ActionNotBuilt means that the policy uses an action that this version does not have yet (decision 40). Argument: the action.
const ActionNotBuilt Code = "ERR_CULVERT_1110"

func policyEntries() []Entry {
	entries := []Entry{
		{
			Code: InterpolationFailed, Status: 500, Title: "A text of the policy could not be evaluated",
			Message: "An expression in the policy of this endpoint failed: %s.",
			Remedy:  "Guard the expression, for example with has(), or give it a value for this case.",
		},
		{
			Code: PolicyUnresolved, Status: 500, Title: "A setting of the policy is not valid",
			Message: "The policy of this endpoint could not be applied: %s.",
			Remedy:  "The owner of the endpoint has to correct its policy.",
		},
		{
			Code: CircuitOpen, Status: 503, Title: "The service is held back for now",
			Message: "Too many requests to this endpoint have failed, so its policy lets none through for a while.",
			Remedy:  "Try again in a few seconds.",
		},
		{
			Code: AddressRefused, Status: 403, Title: "Your address is not allowed",
			Message: "The policy of this endpoint does not let your IP address in.",
			Remedy:  "Come from an address that is allowed, or ask the owner of the endpoint to add yours.",
		},
		{
			Code: UserAgentRefused, Status: 403, Title: "Your program is not allowed",
			Message: "This endpoint does not take requests from the program that your User-Agent header names.",
			Remedy:  "Use another program, or ask the owner of the endpoint to allow yours.",
		},
		{
			Code: PolicyInternal, Status: 500, Title: "An action of the policy failed",
			Message: "The action %s of this endpoint's policy failed.",
			Remedy:  "Try again; if it lasts, tell the owner of the endpoint.",
		},
		{
			Code: ActionNotBuilt, Status: 501, Title: "Action is not built yet",
			Message: "The policy uses something that this version does not have yet: %s.",
			Remedy:  "Leave it out, or wait for a version that has it.",
		},
	}
	for _, e := range [...]struct {
		code           Code
		title, message string
	}{
		{ExpressionInvalid, "Expression does not compile", "An expression of the policy does not compile: %s."},
		{ActionUnknown, "Unknown action", "The policy names an action that does not exist: %s."},
		{ActionPhase, "Action in the wrong phase", "An action of the policy stands in a phase where it cannot run: %s."},
		{ActionConfigInvalid, "Configuration of an action is not valid", "The configuration of an action is not valid: %s."},
		{PolicyValueInvalid, "Value is not valid", "A value in the policy is not valid: %s."},
		{ActionScheme, "Action does not support the protocol", "An action of the policy is not for this kind of endpoint: %s."},
		{PolicyWithoutAction, "Policy without an action", "The policy has no action: %s."},
		{ActionUnreachable, "Action is never reached", "An action of the policy is never reached: %s."},
		{TooManyHeaders, "Too many headers", "An action sets more headers than are allowed: %s."},
		{CompressionUnknown, "Unknown compression", "The policy names an algorithm of compression that does not exist: %s."},
		{NumberOutOfRange, "Number out of range", "A number in the policy is outside of its range: %s."},
		{IPPolicyUnknown, "Unknown IP policy", "The policy names an IP policy that the account does not have: %s."},
		{CIDRInvalid, "Not an address range", "The policy has a text that is no IP address and no range in CIDR notation: %s."},
		{PolicyTooMany, "Too many entries", "A list in the policy has more entries than are allowed: %s."},
		{TextTooLong, "Text too long", "A text in the policy is too long: %s."},
		{PolicyValueUnknown, "Unknown value", "A value in the policy is not among those that are allowed: %s."},
		{PolicyValueEmpty, "Value is empty", "A value of the policy that is needed is empty: %s."},
		{TemplateInvalid, "Interpolated expression does not compile", "An expression in a text of the policy does not compile: %s."},
		{PhaseUnavailable, "Phase is not available", "The policy has a phase that this kind of endpoint lacks: %s."},
		{PolicyDuplicate, "Value stands twice", "A list in the policy has a value twice: %s."},
		{PolicyElementMissing, "Setting is missing", "A setting of the policy that is needed is missing: %s."},
		{PolicyMayNotAnswer, "Policy may not answer", "The policy may leave a request without an answer: %s."},
		{PolicyInvalid, "Policy does not parse", "The policy cannot be read: %s."},
		{TextTooShort, "Text too short", "A text in the policy is too short: %s."},
		{PolicyFieldNeedsAnother, "Setting needs another one", "A setting of the policy is useless without another one: %s."},
		{VariablesTooDeep, "Variable nests too deep", "A variable of the policy nests too deep: %s."},
		{VariablesInvalid, "Variables are not valid", "Variables are set by a list of mappings with one entry each: %s."},
		{PolicyTooManyElements, "Too many elements", "An action of the policy has too many elements: %s."},
		{UsernameInvalid, "User name is not valid", "A user name in the policy is not valid: %s."},
		{PasswordInvalid, "Password is not valid", "A password in the policy is not valid: %s."},
		{PatternInvalid, "Not a regular expression", "A pattern of the policy is not a regular expression: %s."},
		{ConnectOnInternal, "Connect phase never runs", "The policy has a connect phase that never runs: %s."},
	} {
		entries = append(entries, Entry{
			Code: e.code, Status: 400, Title: e.title, Message: e.message,
			Remedy: "Correct the policy at the place that is named; \"culvert policy check FILE\" finds all mistakes at once.",
		})
	}
	return entries
}
