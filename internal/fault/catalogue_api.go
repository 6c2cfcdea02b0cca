package fault

// Faults of requests to the REST API (api.md 6.1).
const (
	// APIKeyMissing means that a request has no Authorization header.
	APIKeyMissing Code = "ERR_NGROK_200"
	// APIAuthScheme means that the header is neither Bearer nor Basic.
	APIAuthScheme Code = "ERR_NGROK_201"
	// ContentType means that a body is not JSON by its header. Argument: the header.
	ContentType Code = "ERR_NGROK_210"
	// BodyUnexpected means that a GET has a body.
	BodyUnexpected Code = "ERR_NGROK_211"
	// RequestUnreadable means that a body ended early. Argument: the error.
	RequestUnreadable Code = "ERR_NGROK_212"
	// BodyUnparsable means that a body is not JSON. Argument: the error.
	BodyUnparsable Code = "ERR_NGROK_213"
	// FieldUnknown means that a body has a field that does not exist. Arguments: the field, the fields there are.
	FieldUnknown Code = "ERR_NGROK_214"
	// FieldInvalid means that a field's value is not of its type or range. Arguments: the field, what is wrong.
	FieldInvalid Code = "ERR_NGROK_215"
	// ContentTypeMissing means that a body has no Content-Type.
	ContentTypeMissing Code = "ERR_NGROK_216"
	// APIVersionUnknown means that the version header names one that does not exist. Argument: the version.
	APIVersionUnknown Code = "ERR_NGROK_217"
	// APIVersionMissing means that a request has no version header.
	APIVersionMissing Code = "ERR_NGROK_218"
	// ReferenceInvalid means that a field does not hold an id. Arguments: the field, its value.
	ReferenceInvalid Code = "ERR_NGROK_223"
	// ReferenceKind means that an id is one of another kind. Arguments: the id, the prefix that it should have.
	ReferenceKind Code = "ERR_NGROK_227"
	// QueryInvalid means that the query of a URL cannot be read. Argument: the error.
	QueryInvalid Code = "ERR_NGROK_230"
	// QueryUnknown means that a query parameter does not exist. Arguments: the parameter, those there are.
	QueryUnknown Code = "ERR_NGROK_231"
	// QueryTwice means that a query parameter is repeated. Argument: the parameter.
	QueryTwice Code = "ERR_NGROK_232"
	// LimitRange means that a page's size is out of range. Argument: the size.
	LimitRange Code = "ERR_NGROK_233"
	// LimitNumber means that a page's size is not a number. Argument: the text.
	LimitNumber Code = "ERR_NGROK_244"
	// WriteRefused means that the caller may only read.
	WriteRefused Code = "ERR_NGROK_1219"
	// BodyLarge means that a body is larger than the API takes. Argument: the limit in KiB.
	BodyLarge Code = "ERR_NGROK_812"
)

func apiEntries() []Entry {
	return []Entry{
		{Code: APIKeyMissing, Status: 403, Title: "No API key", Message: "The request has no Authorization header.", Remedy: "Send the header Authorization: Bearer API_KEY. culvertd api-key new makes a key."},
		{Code: APIAuthScheme, Status: 403, Title: "Authorization header not understood", Message: "The Authorization header is neither Bearer nor Basic.", Remedy: "Send the header Authorization: Bearer API_KEY."},
		{Code: ContentType, Status: 415, Title: "Content type not supported", Message: "The content type %q is not supported.", Remedy: "Send JSON with Content-Type: application/json."},
		{Code: BodyUnexpected, Status: 400, Title: "Unexpected body", Message: "A GET request has a body.", Remedy: "Send what you ask for in the URL's query."},
		{Code: RequestUnreadable, Status: 400, Title: "Body cannot be read", Message: "The body of the request cannot be read: %s.", Remedy: "Send the request again."},
		{Code: BodyUnparsable, Status: 400, Title: "Body is not JSON", Message: "The body of the request is not a JSON object: %s.", Remedy: "Correct the JSON."},
		{Code: FieldUnknown, Status: 400, Title: "Unknown field", Message: "The field %q does not exist here. The fields are: %s.", Remedy: "Correct the field's name or leave it out."},
		{Code: FieldInvalid, Status: 400, Title: "Invalid value", Message: "The field %q is not valid: %s.", Remedy: "Correct the value."},
		{Code: ContentTypeMissing, Status: 400, Title: "Content type missing", Message: "The request has a body and no Content-Type header.", Remedy: "Send Content-Type: application/json."},
		{Code: APIVersionUnknown, Status: 400, Title: "API version not supported", Message: "Version %q of the API does not exist.", Remedy: "Send the header Ngrok-Version: 2."},
		{Code: APIVersionMissing, Status: 400, Title: "API version missing", Message: "The request does not say which version of the API it is for.", Remedy: "Send the header Ngrok-Version: 2."},
		{Code: ReferenceInvalid, Status: 400, Title: "Not an id", Message: "The field %q is not an id: %q.", Remedy: "Give the id of the object, like vault_2Xa0hWm4Qn7Zr1."},
		{Code: ReferenceKind, Status: 400, Title: "Id of another kind", Message: "The id %q belongs to another kind of object; it should begin with %s_.", Remedy: "Give the id of an object of the right kind."},
		{Code: QueryInvalid, Status: 400, Title: "Query cannot be read", Message: "The query of the URL cannot be read: %s.", Remedy: "Escape the values of the query."},
		{Code: QueryUnknown, Status: 400, Title: "Unknown query parameter", Message: "The query parameter %q does not exist here. The parameters are: %s.", Remedy: "Correct the parameter's name or leave it out."},
		{Code: QueryTwice, Status: 400, Title: "Repeated query parameter", Message: "The query parameter %q may be given once.", Remedy: "Leave one of them out."},
		{Code: LimitRange, Status: 400, Title: "Page size out of range", Message: "A page has 1 to 100 objects, not %d.", Remedy: "Give a limit from 1 to 100 and follow next_page_uri."},
		{Code: LimitNumber, Status: 400, Title: "Page size is not a number", Message: "The limit %q is not a number.", Remedy: "Give a limit from 1 to 100."},
		{Code: WriteRefused, Status: 403, Title: "May only read", Message: "The holder of this API key may not change anything in the account.", Remedy: "Ask an administrator of the account for the role of a developer."},
		{Code: BodyLarge, Status: 413, Title: "Body too large", Message: "The body of the request is larger than %d KiB.", Remedy: "Send less."},
	}
}
