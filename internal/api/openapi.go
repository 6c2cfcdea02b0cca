package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
)

// object is a JSON object; encoding sorts its names.
type object = map[string]any

// OpenAPI returns the document that describes resources to programs, in version 3.1 of OpenAPI. The same tables
// give the same bytes.
func OpenAPI(tables []*Resource) []byte {
	d := document{paths: object{}, schemas: object{
		"Ref": structSchema(reflect.TypeFor[Ref](), nil), "Error": structSchema(reflect.TypeFor[Error](), nil),
		"Root": structSchema(reflect.TypeFor[Root](), nil), "Self": structSchema(reflect.TypeFor[Self](), nil),
		"UsagePage": structSchema(reflect.TypeFor[UsagePage](), nil),
	}}
	d.fixed("/", "Root", "list the collections")
	d.fixed("/self", "Self", "show who the caller is")
	d.fixed(UsagePath, "UsagePage", "show what the account has used", UsageParameters()...)
	for _, r := range tables {
		d.resource(r, tables)
	}
	text, err := json.MarshalIndent(object{
		"openapi":  "3.1.0",
		"info":     object{"title": "Culvert", "version": "2", "description": "The REST API of a Culvert server. Every request but the one for this document has the header Ngrok-Version: 2."},
		"servers":  []any{object{"url": "/"}},
		"security": []any{object{"bearer": []string{}}, object{"basic": []string{}}},
		"paths":    d.paths,
		"components": object{
			"schemas":    d.schemas,
			"parameters": parameters(),
			"responses": object{"Error": object{
				"description": "The request failed.",
				"headers":     object{"Ngrok-Operation-Id": object{"schema": object{"type": "string"}}},
				"content":     content("Error"),
			}},
			"securitySchemes": object{"bearer": object{"type": "http", "scheme": "bearer"}, "basic": object{"type": "http", "scheme": "basic"}},
		},
	}, "", "  ")
	if err != nil {
		panic(err) // texts, lists and objects always encode
	}
	return append(text, '\n')
}

// parameters are those that many requests have.
func parameters() object {
	query := func(name, doc string, schema object) object {
		return object{"name": name, "in": "query", "description": doc, "schema": schema}
	}
	return object{
		"version":   object{"name": "Ngrok-Version", "in": "header", "required": true, "schema": object{"const": "2"}},
		"id":        object{"name": "id", "in": "path", "required": true, "schema": object{"type": "string"}},
		"limit":     query("limit", "how many objects the page has at most", object{"type": "integer", "minimum": 1, "maximum": 100, "default": 100}),
		"before_id": query("before_id", "the page begins behind the object with this id", object{"type": "string"}),
		"filter":    query("filter", "an expression that the objects have to meet", object{"type": "string", "maxLength": 4096}),
		"force":     query("force", "do it although the server warns", object{"type": "boolean"}),
	}
}

// document is a document in the making.
type document struct{ paths, schemas object }

// add puts an operation at its path.
func (d *document) add(path, method string, operation object) {
	item, ok := d.paths[path].(object)
	if !ok {
		item = object{}
		d.paths[path] = item
	}
	operation["responses"].(object)["default"] = ref("responses", "Error") //nolint:forcetypeassert // of ours
	item[strings.ToLower(method)] = operation
}

// fixed adds a request that belongs to no resource.
func (d *document) fixed(path, schema, summary string, query ...Field) {
	params := []any{ref("parameters", "version")}
	for i := range query {
		f := &query[i]
		params = append(params, object{"name": f.Name, "in": "query", "description": f.Doc, "schema": fieldsSchema(query[i:i+1], true)["properties"].(object)[f.Name]}) //nolint:forcetypeassert // of ours
	}
	d.add(path, http.MethodGet, object{
		"operationId": strings.ToLower(schema), "summary": sentence(summary),
		"parameters": params, "responses": answers("200", content(schema)),
	})
}

// resource adds the requests and schemas of a resource.
func (d *document) resource(r *Resource, tables []*Resource) {
	title := r.schema()
	docs := map[string]*Field{}
	for i := range r.Fields {
		docs[r.Fields[i].Name] = &r.Fields[i]
	}
	d.schemas[title] = structSchema(r.answer(), docs)
	d.schemas[title+"List"] = object{
		"type": "object", "required": []string{r.ListKey, "uri", "next_page_uri"},
		"properties": object{
			r.ListKey: object{"type": "array", "items": ref("schemas", title)},
			"uri":     object{"type": "string"}, "next_page_uri": object{"type": []string{"string", "null"}},
		},
	}
	for _, route := range r.Routes() {
		d.route(&route, title, tables)
	}
}

// route adds one request of a resource.
func (d *document) route(route *Route, title string, tables []*Resource) {
	r := route.Resource
	op := object{"tags": []string{r.Command()}}
	params := []any{ref("parameters", "version")}
	if route.HasID() {
		params = append(params, ref("parameters", "id"))
	}
	if a := route.Action; a != nil {
		op["operationId"], op["summary"] = r.Command()+"."+a.Name, sentence(a.Doc)
		if len(a.Fields) > 0 {
			op["requestBody"] = object{"content": object{"application/json": object{"schema": fieldsSchema(a.Fields, true)}}}
		}
		op["responses"] = answers("204", nil)
		if listed := ByPath(tables, a.Lists); listed != nil {
			op["responses"] = answers("200", content(listed.schema()+"List"))
			params = append(params, listParameters(listed)...)
		}
	} else {
		op["operationId"], op["summary"] = r.Command()+"."+string(route.Verb), sentence(r.Summary(route.Verb))
		switch route.Verb {
		case Create, Update:
			part := title + map[Verb]string{Create: "Create", Update: "Update"}[route.Verb]
			d.schemas[part] = fieldsSchema(r.Fields, route.Verb == Create)
			op["requestBody"] = object{"content": content(part)}
			op["responses"] = answers(map[Verb]string{Create: "201", Update: "200"}[route.Verb], content(title))
			if r.Force {
				params = append(params, ref("parameters", "force"))
			}
		case List:
			op["responses"] = answers("200", content(title+"List"))
			params = append(params, listParameters(r)...)
		case Get:
			op["responses"] = answers("200", content(title))
		case Delete:
			op["responses"] = answers("204", nil)
		}
	}
	op["parameters"] = params
	if r.SpellingOf != "" {
		op["deprecated"] = true
	}
	d.add(route.Path, route.Method, op)
}

// names is what several of the resource are called, abbreviations in capitals.
func (r *Resource) names() string {
	words := strings.Split(strings.Trim(r.Path, "/"), "_")
	for i, w := range words {
		if w == "api" || w == "ip" {
			words[i] = strings.ToUpper(w)
		}
	}
	return strings.Join(words, " ")
}

// Summary says what a verb does with a resource, in a phrase.
func (r *Resource) Summary(v Verb) string {
	article := "a "
	if strings.ContainsRune("aeiouAEIOU", rune(r.Name[0])) {
		article = "an "
	}
	switch v {
	case List:
		return "list " + r.names()
	case Get:
		return "show " + article + r.Name
	case Create, Update, Delete:
	}
	return string(v) + " " + article + r.Name
}

// answer is the type of answers.
func (r *Resource) answer() reflect.Type {
	if r.Answer == nil {
		return reflect.TypeFor[Meta]()
	}
	return reflect.TypeOf(r.Answer)
}

// schema is the name of the schema of answers, such as VaultSecret.
func (r *Resource) schema() string {
	var b strings.Builder
	for word := range strings.FieldsSeq(r.Name) {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	if r.SpellingOf != "" {
		b.WriteString("Older")
	}
	return b.String()
}

func listParameters(r *Resource) []any {
	params := []any{ref("parameters", "limit"), ref("parameters", "before_id")}
	if len(r.Filter) > 0 {
		params = append(params, ref("parameters", "filter"))
	}
	for _, name := range r.AnyOf {
		params = append(params, object{
			"name": name, "in": "query", "description": "one of the values that the field may have", "deprecated": true,
			"schema": object{"type": "array", "items": object{"type": "string"}},
		})
	}
	return params
}

func ref(kind, name string) object { return object{"$ref": "#/components/" + kind + "/" + name} }

func content(schema string) object {
	return object{"application/json": object{"schema": ref("schemas", schema)}}
}

// answers are the responses of an operation that succeeds with a status.
func answers(status string, content object) object {
	response := object{"description": "It is done."}
	if content != nil {
		response["content"] = content
	}
	return object{status: response}
}

// sentence makes a sentence of a phrase.
func sentence(phrase string) string {
	if phrase == "" {
		return ""
	}
	return strings.ToUpper(phrase[:1]) + phrase[1:] + "."
}

// fieldsSchema is the schema of a body of a request.
func fieldsSchema(fields []Field, create bool) object {
	properties, required := object{}, []string{}
	for i := range fields {
		f := &fields[i]
		if !f.Usable(create) {
			continue
		}
		properties[f.Name] = fieldSchema(f, create)
		if create && f.Create == Required {
			required = append(required, f.Name)
		}
	}
	s := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		s["required"] = required
	}
	return s
}

func fieldSchema(f *Field, create bool) object {
	var s object
	switch f.Type {
	case Bool:
		s = object{"type": "boolean"}
	case Number:
		s = object{"type": "integer"}
	case Time:
		s = object{"type": "string", "format": "date-time"}
	case Strings:
		s = object{"type": "array", "items": textSchema(f)}
	case Object:
		s = fieldsSchema(f.Fields, create)
	case Objects:
		s = object{"type": "array", "items": fieldsSchema(f.Fields, true)}
	case Map:
		s = object{"type": "object", "additionalProperties": object{"type": "string"}}
	case RefType, Refs:
		s = object{}
	case String:
		s = textSchema(f)
	}
	if f.Doc != "" {
		s["description"] = sentence(f.Doc)
	}
	if f.Secret {
		s["writeOnly"] = true
	}
	return s
}

func textSchema(f *Field) object {
	s := object{"type": "string"}
	if f.Enum != nil {
		s["enum"] = f.Enum
	}
	return s
}

// structSchema is the schema of a struct of answers. docs are fields with texts about it.
func structSchema(t reflect.Type, docs map[string]*Field) object {
	properties, required := object{}, []string{}
	for _, f := range jsonFields(t) {
		s := typeSchema(f.typ)
		if known := docs[f.name]; known != nil && known.Doc != "" {
			s["description"] = sentence(known.Doc)
		}
		properties[f.name] = s
		if !f.omitted {
			required = append(required, f.name)
		}
	}
	slices.Sort(required)
	return object{"type": "object", "properties": properties, "required": required}
}

// jsonField is a field of a struct as JSON has it.
type jsonField struct {
	name    string
	omitted bool // when empty
	typ     reflect.Type
}

// jsonFields returns the fields of a struct.
func jsonFields(t reflect.Type) []jsonField {
	var fields []jsonField
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.IsExported() && name != "" && name != "-" {
			fields = append(fields, jsonField{name, strings.Contains(options, "omit"), f.Type})
		}
	}
	return fields
}

func typeSchema(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[Ref]():
		return ref("schemas", "Ref")
	case reflect.TypeFor[json.RawMessage]():
		return object{}
	}
	if t.PkgPath() == "time" && t.Name() == "Time" {
		return object{"type": "string", "format": "date-time"}
	}
	switch t.Kind() { //nolint:exhaustive // answers have no others
	case reflect.Pointer:
		return object{"anyOf": []any{typeSchema(t.Elem()), object{"type": "null"}}}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Slice:
		return object{"type": "array", "items": typeSchema(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": typeSchema(t.Elem())}
	case reflect.Struct:
		return structSchema(t, nil)
	case reflect.Interface:
		return object{}
	}
	return object{"type": "integer"}
}
