package expr

// Function is an entry of the manual's page of functions. The standard library
// of CEL is not among them.
type Function struct {
	// Group is the heading under which it stands.
	Group string
	// Name is that of the function, without its arguments.
	Name string
	// Signature shows how it is called; T. stands for the value it is a
	// method of.
	Signature string
	// Doc says what it does.
	Doc string
	// Example is an expression, and Result what it comes to as text.
	Example, Result string
}

// Functions returns the functions and macros in the manual's order. A test
// evaluates the examples.
func Functions() []Function {
	return []Function{
		{"Requests and responses", "getReqHeader", "getReqHeader(name)", "values of a header field of the request, in any case; an empty list if it is absent", "getReqHeader('x-two')", `["a","b"]`},
		{"Requests and responses", "hasReqHeader", "hasReqHeader(name)", "whether the request has the header field", "hasReqHeader('X-Two')", "true"},
		{"Requests and responses", "getReqCookie", "getReqCookie(name)", "first cookie of that name, with empty members if there is none", "getReqCookie('s').value", "1"},
		{"Requests and responses", "hasReqCookie", "hasReqCookie(name)", "whether the request has the cookie", "hasReqCookie('none')", "false"},
		{"Requests and responses", "getQueryParam", "getQueryParam(name)", "values of a query parameter; an empty list if it is absent", "getQueryParam('q')", `["1","2"]`},
		{"Requests and responses", "hasQueryParam", "hasQueryParam(name)", "whether the query has the parameter, even without a value", "hasQueryParam('e')", "true"},
		{"Requests and responses", "getResHeader", "getResHeader(name)", "as `getReqHeader`, of the response", "getResHeader('none')", "[]"},
		{"Requests and responses", "hasResHeader", "hasResHeader(name)", "as `hasReqHeader`, of the response", "hasResHeader('none')", "false"},
		{"Requests and responses", "getResCookie", "getResCookie(name)", "as `getReqCookie`, of the response; the longest path first", "getResCookie('none').value", ""},
		{"Requests and responses", "hasResCookie", "hasResCookie(name)", "as `hasReqCookie`, of the response", "hasResCookie('none')", "false"},

		{"Text", "contains", "T.contains(text)", "whether a text has another one in it, or a list of texts one that has", "['abc', 'd'].contains('bc')", "true"},
		{"Text", "charAt", "T.charAt(i)", "character at a position; the position behind the last one gives an empty text", "'abc'.charAt(1)", "b"},
		{"Text", "indexOf", "T.indexOf(text[, from])", "position of the first occurrence, -1 for none", "'hello'.indexOf('l', 3)", "3"},
		{"Text", "lastIndexOf", "T.lastIndexOf(text[, to])", "position of the last occurrence that begins at `to` or before, -1 for none", "'hello'.lastIndexOf('l')", "3"},
		{"Text", "substring", "T.substring(from[, to])", "part of a text, without the character at `to`", "'hello'.substring(1, 3)", "el"},
		{"Text", "split", "T.split([separator[, n]])", "pieces of a text, at most n; what comes behind them is dropped. Without arguments it splits at white space", "'a,b,c'.split(',', 2)", `["a","b"]`},
		{"Text", "replace", "T.replace(old, new[, n])", "replaces all occurrences, or the first n", "'aaa'.replace('a', 'b', 2)", "bba"},
		{"Text", "join", "T.join([separator])", "joins a list of texts", "['a', 'b'].join('-')", "a-b"},
		{"Text", "trim", "T.trim()", "removes white space at both ends", "' a '.trim()", "a"},
		{"Text", "reverse", "T.reverse()", "the characters in reverse order", "'abc'.reverse()", "cba"},
		{"Text", "lowerAscii", "T.lowerAscii()", "letters A to Z in lower case", "'ÀB'.lowerAscii()", "Àb"},
		{"Text", "upperAscii", "T.upperAscii()", "letters a to z in upper case", "'àb'.upperAscii()", "àB"},
		{"Text", "lower", "T.lower()", "all letters in lower case", "'ÀB'.lower()", "àb"},
		{"Text", "upper", "T.upper()", "all letters in upper case", "'àb'.upper()", "ÀB"},
		{"Text", "format", "T.format(list)", "fills `%s %d %f %e %b %x %X %o`", "'%s is %d'.format(['a', 1])", "a is 1"},
		{"Text", "strings.quote", "strings.quote(text)", "in double quotes, with escapes", `strings.quote('a"b')`, `"a\"b"`},
		{"Text", "includes", "T.includes(text)", "older name of `contains`", "'abc'.includes('b')", "true"},

		{"Lists and maps", "get", "T.get(key[, default])", "value of a map, or else an empty list or the default", "{'a': 1}.get('b', 2)", "2"},
		{"Lists and maps", "has", "has(e.field), has(e['key']), has(e[i])", "whether a field, key or element is there", "has(req.headers['x-two'])", "true"},
		{"Lists and maps", "slice", "T.slice(from, to)", "part of a list, without the element at `to`", "[1, 2, 3].slice(1, 3)", "[2,3]"},
		{"Lists and maps", "flatten", "T.flatten([depth])", "lists in a list become part of it, one level deep or more", "[[1, [2]], [3]].flatten()", "[1,[2],3]"},
		{"Lists and maps", "sort", "T.sort()", "sorts values of one type", "[3, 1, 2].sort()", "[1,2,3]"},
		{"Lists and maps", "sortBy", "T.sortBy(x, key)", "sorts by a key of each element", "['bb', 'a'].sortBy(x, size(x))", `["a","bb"]`},
		{"Lists and maps", "distinct", "T.distinct()", "drops repetitions", "[1, 2, 1].distinct()", "[1,2]"},
		{"Lists and maps", "lists.range", "lists.range(n)", "0 to n-1, at most 10 000 of them", "lists.range(3)", "[0,1,2]"},

		{"Encoding", "encodeJson", "T.encodeJson()", "JSON of a list or map, keys sorted", "{'b': 1, 'a': [true]}.encodeJson()", `{"a":[true],"b":1}`},
		{"Encoding", "decodeJson", "T.decodeJson()", "value of a JSON text; integral numbers become int", "'[1, 2]'.decodeJson()[1]", "2"},
		{"Encoding", "isJson", "T.isJson()", "whether a text is JSON", "'{'.isJson()", "false"},
		{"Encoding", "json.encode", "json.encode(value)", "as `encodeJson`", "json.encode([1])", "[1]"},
		{"Encoding", "json.decode", "json.decode(text)", "as `decodeJson`", `json.decode('{"a": 1}').a`, "1"},
		{"Encoding", "encodeBase64", "T.encodeBase64()", "Base64 of a text", "'hi'.encodeBase64()", "aGk="},
		{"Encoding", "decodeBase64", "T.decodeBase64()", "text of its Base64", "'aGk='.decodeBase64()", "hi"},
		{"Encoding", "base64.encode", "base64.encode(bytes)", "Base64 of bytes; `b64.encode` is an older name", "base64.encode(b'hi')", "aGk="},
		{"Encoding", "base64.decode", "base64.decode(text)", "bytes of their Base64, padding required; `b64.decode` is an older name", "string(base64.decode('aGk='))", "hi"},
		{"Encoding", "b64.encode", "b64.encode(bytes)", "older name of `base64.encode`", "b64.encode(b'hi')", "aGk="},
		{"Encoding", "b64.decode", "b64.decode(text)", "older name of `base64.decode`", "string(b64.decode('aGk='))", "hi"},
		{"Encoding", "encodeQueryString", "T.encodeQueryString()", "query string of a map, keys sorted; lists repeat the key", "{'b': ['x', 'y'], 'a': '1 2'}.encodeQueryString()", "a=1+2&b=x&b=y"},
		{"Encoding", "decodeQueryString", "T.decodeQueryString()", "map of a query string; a key that occurs twice has a list", "'a=1&b=2'.decodeQueryString().b", "2"},
		{"Encoding", "isQueryString", "T.isQueryString()", "whether a text is a query string with at least one pair", "'a=b'.isQueryString()", "true"},
		{"Encoding", "queryString.encode", "queryString.encode(map)", "as `encodeQueryString`", "queryString.encode({'q': 'x'})", "q=x"},
		{"Encoding", "queryString.decode", "queryString.decode(text)", "as `decodeQueryString`", "queryString.decode('q=x').q", "x"},
		{"Encoding", "basic_auth.encode", "basic_auth.encode(user, password)", "value of an Authorization header", "basic_auth.encode('u', 'p')", "Basic dTpw"},

		{"URLs", "escapeUrl", "T.escapeUrl()", "percent-encodes everything but letters, digits and `-._~`", "'a b;/'.escapeUrl()", "a%20b%3B%2F"},
		{"URLs", "unescapeUrl", "T.unescapeUrl()", "undoes it", "'a%20b'.unescapeUrl()", "a b"},
		{"URLs", "parseUrl", "T.parseUrl()", "map with `scheme`, `host`, `port`, `path`, `raw_path`, `query`, `fragment`, `user`, `opaque`", "'https://h:8/p'.parseUrl().port", "8"},
		{"URLs", "isURL", "T.isURL()", "whether a text is a URL with scheme and host", "'h/p'.isURL()", "false"},
		{"URLs", "url.escape", "url.escape(text)", "as `escapeUrl`", "url.escape('/')", "%2F"},
		{"URLs", "url.unescape", "url.unescape(text)", "as `unescapeUrl`", "url.unescape('%2F')", "/"},
		{"URLs", "url.parse", "url.parse(text)", "as `parseUrl`", "url.parse('https://h/p').path", "/p"},

		{"Hashes", "md5", "T.md5([format])", "hash as `hex` (default) or `base64`; so are the others here", "'hello'.md5()", "5d41402abc4b2a76b9719d911017c592"},
		{"Hashes", "sha1", "T.sha1([format])", "", "'hello'.sha1('base64')", "qvTGHdzF6KLavt4PO0gs2a6pQ00="},
		{"Hashes", "sha256", "T.sha256([format])", "", "'hello'.sha256().size()", "64"},
		{"Hashes", "sha512", "T.sha512([format])", "", "'hello'.sha512().size()", "128"},
		{"Hashes", "crc32", "T.crc32([format])", "checksum, IEEE", "'hello'.crc32()", "3610a686"},
		{"Hashes", "crc64", "T.crc64([format])", "checksum, ISO", "'hello'.crc64()", "3c3eeee2d8100000"},
		{"Hashes", "xxhash64", "T.xxhash64([format])", "xxHash with seed 0", "'hello'.xxhash64()", "26c7827d889f6da3"},
		{"Hashes", "hash.md5", "hash.md5(text[, format])", "as the method; so are `hash.sha1`, `hash.sha256`, `hash.sha512`, `hash.crc32`, `hash.crc64` and `hash.xxhash64`", "hash.crc32('hello', 'hex')", "3610a686"},

		{"Chance", "rand.int", "rand.int([min, max])", "a number between the two, both included; 0 or 1 without arguments", "rand.int(3, 3)", "3"},
		{"Chance", "rand.double", "rand.double()", "a number from 0 up to, without, 1", "rand.double() < 1.0", "true"},

		{"Addresses", "inCidrRange", "inCidrRange(ip, cidr)", "whether an address lies in a range; false if one of them is not valid", "inCidrRange('10.1.2.3', '10.0.0.0/8')", "true"},
		{"Addresses", "inCidrRanges", "inCidrRanges(ip, list)", "whether an address lies in one of the ranges", "inCidrRanges('10.1.2.3', ['192.168.0.0/16'])", "false"},
		{"Addresses", "isPrivateIp", "T.isPrivateIp()", "whether it is a private IPv4 address (RFC 1918)", "'192.168.1.1'.isPrivateIp()", "true"},

		{"Secrets", "secrets.get", "secrets.get(vault, name)", "value of a secret at the time of evaluation", "secrets.get('v', 's')", "hush"},
	}
}
