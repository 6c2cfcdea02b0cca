package fault

// Faults of IP policies and restrictions (api.md 2.6, 2.7).
const (
	// APISourceRefused means that an IP restriction refuses a request to the API. Argument: the address.
	APISourceRefused Code = "ERR_NGROK_220"
	// IPPolicyUpdateEmpty means that an update of an IP policy names no field.
	IPPolicyUpdateEmpty Code = "ERR_NGROK_1400"
	// IPRuleUpdateEmpty means that an update of a rule names no field.
	IPRuleUpdateEmpty Code = "ERR_NGROK_1401"
	// IPPolicyNotFound means that there is no such IP policy. Argument: the id.
	IPPolicyNotFound Code = "ERR_NGROK_1402"
	// IPRuleNotFound means that there is no such rule. Argument: the id.
	IPRuleNotFound Code = "ERR_NGROK_1404"
	// IPRuleParameter means that a rule lacks a field. Argument: the field.
	IPRuleParameter Code = "ERR_NGROK_1405"
	// IPRuleCIDR means that a rule's range is no range. Arguments: the field, the text.
	IPRuleCIDR Code = "ERR_NGROK_1406"
	// IPRuleTaken means that the policy has a rule for the range. Argument: the range.
	IPRuleTaken Code = "ERR_NGROK_1408"
	// IPRuleHostBits means that a range has bits behind its prefix. Arguments: the text, the range without them.
	IPRuleHostBits Code = "ERR_NGROK_1409"
	// IPRulesTooMany means that a policy has as many rules as it may. Argument: the limit.
	IPRulesTooMany Code = "ERR_NGROK_1411"
	// IPRuleMask means that a range has no prefix length. Arguments: the text, the range that holds it alone.
	IPRuleMask Code = "ERR_NGROK_1413"
	// IPRulePolicy means that a rule names no IP policy of the account. Argument: the field or the id.
	IPRulePolicy Code = "ERR_NGROK_1414"
	// IPPolicyInUse means that a restriction uses a policy that is to be deleted. Arguments: the id, the restriction's type.
	IPPolicyInUse Code = "ERR_NGROK_1420"
	// IPRuleDescription means that a rule's description is too long.
	IPRuleDescription Code = "ERR_NGROK_1421"
	// IPRuleAction means that a rule's action is none. Arguments: the field, what it may be.
	IPRuleAction Code = "ERR_NGROK_1422"
	// RestrictionPolicies means that a restriction names too many policies. Argument: the limit.
	RestrictionPolicies Code = "ERR_NGROK_1800"
	// RestrictionPolicyUnknown means that a restriction names a policy that the account does not have. Argument: the id.
	RestrictionPolicyUnknown Code = "ERR_NGROK_1801"
	// RestrictionTaken means that there is a restriction of the type. Argument: the type.
	RestrictionTaken Code = "ERR_NGROK_1802"
	// RestrictionType means that a restriction's type is none. Arguments: the field, what it may be.
	RestrictionType Code = "ERR_NGROK_1803"
	// RestrictionEmpty means that a restriction names no policy.
	RestrictionEmpty Code = "ERR_NGROK_1804"
	// ClientSourceRefused means that the account's IP restriction refuses a client of an endpoint.
	ClientSourceRefused Code = "ERR_NGROK_3205"
	// RestrictionShutsOut means that a restriction of the API would refuse who asks for it. Argument: the address.
	RestrictionShutsOut Code = "ERR_CULVERT_1680"
)

func ipEntries() []Entry {
	return []Entry{
		{Code: APISourceRefused, Status: 403, Title: "Address not allowed for the API", Message: "The account's IP restriction of the API does not let %s in.", Remedy: "Come from an address that is allowed, or have the account's IP policies changed from one. On the server's machine \"culvertd restriction disable api\", with --account for another account than ac_default, stops the restriction."},
		{Code: IPPolicyUpdateEmpty, Status: 400, Title: "Nothing to update", Message: "The update names no field of the IP policy.", Remedy: "Name at least one field that is to change."},
		{Code: IPRuleUpdateEmpty, Status: 400, Title: "Nothing to update", Message: "The update names no field of the rule.", Remedy: "Name at least one field that is to change."},
		{Code: IPPolicyNotFound, Status: 404, Title: "IP policy not found", Message: "There is no IP policy with the id %q.", Remedy: "List yours with culvert api ip-policies list."},
		{Code: IPRuleNotFound, Status: 404, Title: "Rule not found", Message: "There is no IP policy rule with the id %q.", Remedy: "List yours with culvert api ip-policy-rules list."},
		{Code: IPRuleParameter, Status: 400, Title: "Field missing", Message: "The field %q of the rule is missing.", Remedy: "Give the rule a cidr, and allow or deny as its action."},
		{Code: IPRuleCIDR, Status: 400, Title: "Not an address range", Message: "The field %q is no range of IP addresses in CIDR notation: %s.", Remedy: "Write it like 10.0.0.0/8 or 2001:db8::/32."},
		{Code: IPRuleTaken, Status: 400, Title: "Range has a rule already", Message: "The IP policy has a rule for %s already.", Remedy: "Change or delete that rule."},
		{Code: IPRuleHostBits, Status: 400, Title: "Range has bits behind its prefix", Message: "%s is not the first address of its range.", Remedy: "Write %[2]s if you mean the range."},
		{Code: IPRulesTooMany, Status: 400, Title: "Too many rules", Message: "The IP policy has %d rules, which is the limit.", Remedy: "Join ranges, or use several policies."},
		{Code: IPRuleMask, Status: 400, Title: "Range has no prefix length", Message: "%s is an address and no range.", Remedy: "Write %[2]s for this address alone."},
		{Code: IPRulePolicy, Status: 400, Title: "IP policy missing or unknown", Message: "The rule needs the IP policy that it belongs to, and %q is none of this account.", Remedy: "Give the id of one as ip_policy_id; culvert api ip-policies list has them."},
		{Code: IPPolicyInUse, Status: 400, Title: "IP policy in use", Message: "The IP policy %s is used by the IP restriction of type %s.", Remedy: "Take it off the restriction first, or delete the restriction."},
		{Code: IPRuleDescription, Status: 400, Title: "Description too long", Message: "The description of a rule has at most 255 bytes.", Remedy: "Shorten it."},
		{Code: IPRuleAction, Status: 400, Title: "Action not valid", Message: "The field %q is not valid: %s.", Remedy: "Give allow or deny."},
		{Code: RestrictionPolicies, Status: 400, Title: "Too many IP policies", Message: "An IP restriction has at most %d IP policies.", Remedy: "Put their rules into fewer policies."},
		{Code: RestrictionPolicyUnknown, Status: 400, Title: "Unknown IP policy", Message: "The account has no IP policy %q.", Remedy: "List yours with culvert api ip-policies list."},
		{Code: RestrictionTaken, Status: 400, Title: "There is such a restriction already", Message: "The account has an IP restriction of type %s already.", Remedy: "Change that one."},
		{Code: RestrictionType, Status: 400, Title: "Type not valid", Message: "The field %q is not valid: %s.", Remedy: "Give one of these types."},
		{Code: RestrictionEmpty, Status: 400, Title: "IP policies missing", Message: "An IP restriction has to name an IP policy.", Remedy: "Give at least one id in ip_policy_ids."},
		{Code: ClientSourceRefused, Status: 403, Title: "Your address is not allowed", Message: "The owner of this endpoint does not let your IP address in.", Remedy: "Come from an address that is allowed, or ask the owner to add yours."},
		{Code: RestrictionShutsOut, Status: 400, Title: "It would shut you out", Message: "The IP restriction would refuse your own requests to the API: its IP policies do not let %s in.", Remedy: "Allow this address in one of its IP policies, or repeat the request with ?force=true if that is what you want."},
	}
}
