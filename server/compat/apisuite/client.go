package apisuite

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// Fields are those of a request's body, by their JSON names.
type Fields map[string]any

// Object is what a client has decoded, by JSON names. What is empty may be absent.
type Object map[string]any

// Failure is what a client's own error type says.
type Failure struct {
	Status  int
	Code    string
	Msg     string
	Details map[string]string
	// Operation is the operation id, as the client's own method returns it.
	Operation string
}

// Client is one major of the client, at a server.
type Client struct {
	// Name is what it is called in tables, such as "v9.0.0".
	Name string
	// Packages are its clients of resources, by the paths of their packages below the module, such as "vaults".
	Packages map[string]any
	// Do sends any request, by the client's own base client.
	Do func(ctx context.Context, method, path string, body, answer any) error
	// Failure reads an error that is of the client's own type.
	Failure func(error) (Failure, bool)
	// NotFound and HasCode are the client's own helpers.
	NotFound func(error) bool
	HasCode  func(error, ...int) bool
	// EmptyLists says that its updates can send empty lists.
	EmptyLists bool
}

// Make makes a client for a key of the API at a URL. Its requests go by via.
type Make func(url, key string, via *http.Client) *Client

// iterator is what all lists of the clients have in common.
type iterator interface {
	Next(ctx context.Context) bool
	Err() error
}

// mostItems bounds how much of a collection is read: a server that never ends it must not keep a test for ever.
const mostItems = 2000

func (c *Client) method(t *testing.T, pkg, name string) reflect.Value {
	t.Helper()
	p, ok := c.Packages[pkg]
	if !ok {
		t.Fatalf("%s has no package %s", c.Name, pkg)
	}
	m := reflect.ValueOf(p).MethodByName(name)
	if !m.IsValid() {
		t.Fatalf("%s has no method %s.%s", c.Name, pkg, name)
	}
	return m
}

// Call calls a method of a package with texts and [Fields]. It returns what the client has decoded.
func (c *Client) Call(t *testing.T, pkg, name string, args ...any) (Object, error) {
	t.Helper()
	m := c.method(t, pkg, name)
	in := []reflect.Value{reflect.ValueOf(t.Context())}
	for i, a := range args {
		in = append(in, argument(t, m.Type().In(i+1), a))
	}
	out := m.Call(in)
	err, _ := out[len(out)-1].Interface().(error)
	if err != nil || len(out) == 1 {
		return nil, err
	}
	return decoded(t, out[0].Interface()), nil
}

// Must is Call for what has to succeed.
func (c *Client) Must(t *testing.T, pkg, name string, args ...any) Object {
	t.Helper()
	o, err := c.Call(t, pkg, name, args...)
	if err != nil {
		t.Fatalf("%s.%s(%v): %v", pkg, name, args, err)
	}
	return o
}

// List reads a collection to its end, by the client's iterator. The last argument is the paging.
func (c *Client) List(t *testing.T, pkg, name string, args ...any) ([]Object, error) {
	t.Helper()
	m := c.method(t, pkg, name)
	var in []reflect.Value
	for i, a := range args {
		in = append(in, argument(t, m.Type().In(i), a))
	}
	return read(t, m.Call(in)[0].Elem())
}

// read reads an iterator to its end.
func read(t *testing.T, it reflect.Value) ([]Object, error) {
	t.Helper()
	next, ok := it.Interface().(iterator)
	if !ok {
		t.Fatalf("%s is no iterator", it.Type())
	}
	var items []Object
	for next.Next(t.Context()) {
		items = append(items, decoded(t, it.MethodByName("Item").Call(nil)[0].Interface()))
		if len(items) > mostItems {
			t.Fatalf("the collection has more than %d objects, or no end", mostItems)
		}
	}
	return items, next.Err()
}

// names are the JSON names of what a method answers with.
func (c *Client) names(t *testing.T, pkg, name string) []string {
	t.Helper()
	answer := c.method(t, pkg, name).Type().Out(0).Elem()
	var names []string
	for i := range answer.NumField() {
		name, _, _ := strings.Cut(answer.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// filters reports whether a package can list by a filter.
func (c *Client) filters(t *testing.T, pkg string) bool {
	t.Helper()
	paging := c.method(t, pkg, "List").Type().In(0).Elem()
	_, ok := paging.FieldByName("Filter")
	return ok
}

// argument makes an argument of a method. Fields that the client does not have are a mistake of the test.
func argument(t *testing.T, typ reflect.Type, a any) reflect.Value {
	t.Helper()
	f, ok := a.(Fields)
	if !ok {
		return reflect.ValueOf(a)
	}
	raw, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	v := reflect.New(typ.Elem())
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v.Interface()); err != nil {
		t.Fatalf("%s cannot hold %s: %v", typ, raw, err)
	}
	return v
}

// decoded returns an object of the client by its JSON names.
func decoded(t *testing.T, v any) Object {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var o Object
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// Text returns a text of an object, "" if it is absent.
func (o Object) Text(name string) string {
	text, _ := o[name].(string)
	return text
}

// Ref returns the id of a reference, "" if there is none.
func (o Object) Ref(name string) string {
	ref, _ := o[name].(map[string]any)
	return Object(ref).Text("id")
}
