package policy

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
)

// Field is an entry of a mapping from names to texts, such as a header.
type Field struct {
	// Name is the key as written.
	Name string
	// Value is the text, perhaps with ${…}.
	Value *expr.Template
}

// Fields are the entries of such a mapping, in their order.
type Fields []Field

// Pattern is a regular expression in the syntax of Go (RE2), perhaps with ${…}
// in it.
type Pattern struct {
	text   *expr.Template
	static *regexp.Regexp
}

// maxPattern is the longest regular expression, in bytes.
const maxPattern = 1 << 10

// Regexp returns the compiled expression for an exchange.
func (p *Pattern) Regexp(x *Exchange) (*regexp.Regexp, error) {
	if p.static != nil {
		return p.static, nil
	}
	text, err := x.Text(p.text)
	if err != nil {
		return nil, err
	}
	return compilePattern(text)
}

func compilePattern(text string) (*regexp.Regexp, error) {
	if len(text) > maxPattern {
		return nil, fmt.Errorf("a regular expression has at most %d bytes", maxPattern)
	}
	return regexp.Compile(text)
}

// Tree is any value of a document with ${…} at any depth.
type Tree struct {
	text  *expr.Template
	value any // of a number, bool or null
	list  []Tree
	names []string // of a mapping
}

// Value evaluates the tree.
func (t *Tree) Value(x *Exchange) (any, error) {
	switch {
	case t.text != nil:
		return x.Value(t.text)
	case t.names != nil:
		m := make(map[string]any, len(t.names))
		for i, name := range t.names {
			v, err := t.list[i].Value(x)
			if err != nil {
				return nil, err
			}
			m[name] = v
		}
		return m, nil
	case t.list != nil:
		l := make([]any, len(t.list))
		for i := range t.list {
			v, err := t.list[i].Value(x)
			if err != nil {
				return nil, err
			}
			l[i] = v
		}
		return l, nil
	}
	return t.value, nil
}

// Entries returns the keys of a mapping and their values, in order.
func (t *Tree) Entries() ([]string, []Tree) { return t.names, t.list }

// Template returns the text of a tree that is a text, else nil.
func (t *Tree) Template() *expr.Template { return t.text }

// Depth is how deep the tree nests: 1 for a scalar.
func (t *Tree) Depth() int {
	d := 0
	for i := range t.list {
		d = max(d, t.list[i].Depth())
	}
	return d + 1
}

var errReported = errors.New("reported")

// decoder fills a configuration from a node.
type decoder struct {
	*Build
	scope expr.Scope
	// incomplete says that a setting has no value because of a mistake.
	incomplete bool
}

// bad reports a problem at a place inside config, without which the action
// cannot be built.
func (d *decoder) bad(n *node, path string, code fault.Code, format string, args ...any) {
	d.failed, d.incomplete = true, true
	d.c.problem(n, path, code, format, args...)
}

var (
	templateType = reflect.TypeFor[*expr.Template]()
	valueType    = reflect.TypeFor[*expr.Value]()
	patternType  = reflect.TypeFor[*Pattern]()
	fieldsType   = reflect.TypeFor[Fields]()
	treeType     = reflect.TypeFor[Tree]()
	durationType = reflect.TypeFor[time.Duration]()
)

// structure decodes a mapping. extra are keys that somebody else handles.
func (d *decoder) structure(n *node, path string, into reflect.Value, extra ...string) {
	t := into.Type()
	known := slices.Clone(extra)
	taken := make(map[string]bool)
	misspelt := d.misspelt(n, t, extra)
	for f := range t.Fields() {
		name, required := tagName(f)
		if name == "" {
			continue // not a setting
		}
		known = append(known, name)
		value, key := d.field(n, path, f, name, taken)
		if value == nil || value.kind == null {
			if required && misspelt[name] {
				d.failed, d.incomplete = true, true // it is told below
			} else if required {
				d.bad(cmp.Or(n, d.at), path, fault.PolicyElementMissing, "%s is missing", named(path+"."+name))
			}
			continue
		}
		at := path + "." + key
		d.value(value, at, into.FieldByIndex(f.Index), f.Tag)
	}
	if n == nil {
		return
	}
	for _, k := range n.keys {
		if !taken[k.text] && !slices.Contains(known, k.text) {
			d.failed = true
			d.c.problem(k, path+"."+k.text, fault.ActionConfigInvalid, "there is no setting %s%s", k.text, orOneOf(nearest(k.text, known), known))
		}
	}
}

// misspelt returns which settings keys that are none were probably meant to be.
func (d *decoder) misspelt(n *node, t reflect.Type, extra []string) map[string]bool {
	if n == nil {
		return nil
	}
	known := slices.Clone(extra)
	for f := range t.Fields() {
		name, _ := tagName(f)
		known = append(known, name)
		known = append(known, strings.Split(f.Tag.Get("alias"), ",")...)
	}
	meant := make(map[string]bool)
	for _, k := range n.keys {
		if !slices.Contains(known, k.text) {
			meant[nearest(k.text, known)] = true
		}
	}
	return meant
}

// named is the name of a setting in a message.
func named(path string) string {
	_, name, _ := strings.Cut(path, ".config.")
	return name
}

func tagName(f reflect.StructField) (name string, required bool) {
	name, option, _ := strings.Cut(f.Tag.Get("field"), ",")
	return name, option == "required"
}

// field finds the value of a field by its name or an alias.
func (d *decoder) field(n *node, path string, f reflect.StructField, name string, taken map[string]bool) (*node, string) {
	taken[name] = true
	value, key := n.get(name), name
	if aliases := f.Tag.Get("alias"); aliases != "" {
		for alias := range strings.SplitSeq(aliases, ",") {
			taken[alias] = true
			if v := n.get(alias); v != nil {
				d.c.warn(v, path+"."+alias, fault.ActionConfigInvalid, "%s is another name for %s; write %s", alias, name, name)
				if value == nil {
					value, key = v, alias
					d.alias(alias, name)
				}
			}
		}
	}
	return value, key
}

// alias notes that the document has another name for a setting.
func (d *decoder) alias(alias, name string) {
	if d.aliases == nil {
		d.aliases = make(map[string]string)
	}
	d.aliases[alias] = name
}

func (d *decoder) value(n *node, path string, into reflect.Value, tag reflect.StructTag) {
	switch into.Type() {
	case templateType:
		if t := d.template(n, path, fault.TemplateInvalid); t != nil {
			into.Set(reflect.ValueOf(t))
			if s, ok := t.Static(); ok {
				d.length(n, path, s, tag)
			}
		}
	case valueType:
		if v := d.expression(n, path); v != nil {
			into.Set(reflect.ValueOf(v))
		}
	case patternType:
		if p := d.pattern(n, path); p != nil {
			into.Set(reflect.ValueOf(p))
		}
	case fieldsType:
		into.Set(reflect.ValueOf(d.fields(n, path, tag)))
	case treeType:
		into.Set(reflect.ValueOf(d.tree(n, path)))
	case durationType:
		if v, ok := d.duration(n, path); ok && d.inRange(n, path, tag, float64(v), func(s string) float64 { b, _ := time.ParseDuration(s); return float64(b) }) {
			into.SetInt(int64(v))
		}
	default:
		d.plain(n, path, into, tag)
	}
}

func (d *decoder) plain(n *node, path string, into reflect.Value, tag reflect.StructTag) {
	asNumber := func(s string) float64 { f, _ := strconv.ParseFloat(s, 64); return f }
	switch into.Kind() {
	case reflect.String:
		if !n.scalar() {
			d.wrong(n, path, text)
			return
		}
		if strings.Contains(n.text, "${") && tag.Get("expression") == "" {
			d.c.warn(n, path, fault.TemplateInvalid, "%s takes no ${…}: it is used as it is written", named(path))
		}
		if d.enum(n, path, tag) && d.length(n, path, n.text, tag) {
			into.SetString(n.text)
		}
	case reflect.Bool:
		if n.kind != boolean {
			d.wrong(n, path, boolean)
			return
		}
		into.SetBool(n.text == "true")
	case reflect.Int:
		v, err := strconv.ParseInt(strings.ReplaceAll(n.text, "_", ""), 0, 64)
		if n.kind != number {
			d.wrong(n, path, number)
			return
		}
		if !n.integer || err != nil {
			d.bad(n, path, fault.ActionConfigInvalid, "%s is %s, and a whole number is needed", named(path), n.text)
			return
		}
		if d.inRange(n, path, tag, float64(v), asNumber) {
			into.SetInt(v)
		}
	case reflect.Float64:
		v, err := strconv.ParseFloat(n.text, 64)
		if n.kind != number || err != nil {
			d.wrong(n, path, number)
			return
		}
		if d.inRange(n, path, tag, v, asNumber) {
			into.SetFloat(v)
		}
	case reflect.Slice:
		d.slice(n, path, into, tag)
	case reflect.Struct:
		if n.kind != mapping {
			d.wrong(n, path, mapping)
			return
		}
		d.structure(n, path, into)
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		d.value(n, path, into.Elem(), tag)
	default:
		panic("policy: a configuration cannot have a field of type " + into.Type().String())
	}
}

func (d *decoder) wrong(n *node, path string, want kind) {
	hint := ""
	if _, err := strconv.ParseFloat(n.text, 64); n.kind == text && (want == number && err == nil || want == boolean && (n.text == "true" || n.text == "false")) {
		hint = "; write it without quotes"
	}
	d.bad(n, path, fault.ActionConfigInvalid, "%s is %s, and %s is needed%s", named(path), n.kind, want, hint)
}

// slice decodes a list; one value stands for a list of one.
func (d *decoder) slice(n *node, path string, into reflect.Value, tag reflect.StructTag) {
	items := n.items
	if n.kind != list {
		if n.kind == mapping && into.Type().Elem().Kind() != reflect.Struct {
			d.wrong(n, path, list)
			return
		}
		items = []*node{n}
	}
	if !d.count(n, path, len(items), tag, fault.PolicyTooMany) {
		return
	}
	out := reflect.MakeSlice(into.Type(), len(items), len(items))
	for i, item := range items {
		at := path
		if n.kind == list {
			at = fmt.Sprintf("%s[%d]", path, i)
		}
		d.value(item, at, out.Index(i), tag)
	}
	into.Set(out)
}

func (d *decoder) template(n *node, path string, code fault.Code) *expr.Template {
	if !n.scalar() && n.kind != null {
		d.wrong(n, path, text)
		return nil
	}
	if d.c.full() {
		d.failed, d.incomplete = true, true
		return nil
	}
	t, problems := d.c.env.Template(n.text, d.scope)
	if d.c.expressionProblems(n, path, code, problems) {
		d.failed, d.incomplete = true, true
	}
	if t != nil {
		d.c.reads(t.Reads())
		d.c.weigh(n, path, t.Patterns())
	}
	return t
}

func (d *decoder) expression(n *node, path string) *expr.Value {
	if !n.scalar() {
		d.wrong(n, path, text)
		return nil
	}
	if d.c.full() {
		d.failed, d.incomplete = true, true
		return nil
	}
	v, problems := d.c.env.Value(n.text, d.scope)
	if d.c.expressionProblems(n, path, fault.ExpressionInvalid, problems) {
		d.failed, d.incomplete = true, true
	}
	if v != nil {
		d.c.reads(v.Reads())
		d.c.weigh(n, path, v.Patterns())
	}
	return v
}

func (d *decoder) pattern(n *node, path string) *Pattern {
	t := d.template(n, path, fault.TemplateInvalid)
	if t == nil {
		return nil
	}
	p := &Pattern{text: t}
	if s, ok := t.Static(); ok {
		if len(s) <= maxPattern {
			d.c.weigh(n, path, expr.PatternSize(s))
		}
		if d.c.full() {
			d.failed, d.incomplete = true, true
			return nil
		}
		var err error
		if p.static, err = compilePattern(s); err != nil {
			d.bad(n, path, fault.PatternInvalid, "%s is no regular expression: %s", named(path), strings.TrimPrefix(err.Error(), "error parsing regexp: "))
			return nil
		}
	}
	return p
}

func (d *decoder) fields(n *node, path string, tag reflect.StructTag) Fields {
	if n.kind != mapping {
		d.wrong(n, path, mapping)
		return nil
	}
	if !d.count(n, path, len(n.keys), tag, fault.TooManyHeaders) {
		return nil
	}
	code := fault.TemplateInvalid
	if tag.Get("fault") == "header" {
		code = fault.HeaderTemplateInvalid
	}
	var all Fields
	for i, k := range n.keys {
		if t := d.template(n.items[i], path+"."+k.text, code); t != nil {
			all = append(all, Field{Name: k.text, Value: t})
		}
	}
	return all
}

func (d *decoder) tree(n *node, path string) Tree {
	switch n.kind {
	case text:
		return Tree{text: d.template(n, path, fault.TemplateInvalid)}
	case number:
		if i, err := strconv.ParseInt(n.text, 0, 64); n.integer && err == nil {
			return Tree{value: i}
		}
		f, _ := strconv.ParseFloat(n.text, 64)
		return Tree{value: f}
	case boolean:
		return Tree{value: n.text == "true"}
	case list:
		t := Tree{list: []Tree{}}
		for i, item := range n.items {
			t.list = append(t.list, d.tree(item, fmt.Sprintf("%s[%d]", path, i)))
		}
		return t
	case mapping:
		t := Tree{names: []string{}}
		for i, k := range n.keys {
			t.names, t.list = append(t.names, k.text), append(t.list, d.tree(n.items[i], path+"."+k.text))
		}
		return t
	case null:
	}
	return Tree{}
}

// duration takes "90s", or an integer as nanoseconds.
func (d *decoder) duration(n *node, path string) (time.Duration, bool) {
	if n.kind == number && n.integer {
		if v, err := strconv.ParseInt(n.text, 0, 64); err == nil {
			return time.Duration(v), true
		}
	}
	if n.kind == text {
		if v, err := time.ParseDuration(n.text); err == nil && strings.ContainsAny(n.text, "nuµmsh") {
			return v, true
		}
	}
	d.bad(n, path, fault.ActionConfigInvalid, "%s is %s, which is no duration; write it like 90s or 1h30m", named(path), n.shown())
	return 0, false
}

func bounds(tag reflect.StructTag, key string) (low, high string, ok bool) {
	low, high, ok = strings.Cut(tag.Get(key), ",")
	return low, high, ok
}

func (d *decoder) inRange(n *node, path string, tag reflect.StructTag, v float64, parse func(string) float64) bool {
	low, high, ok := bounds(tag, "range")
	if !ok || v >= parse(low) && v <= parse(high) {
		return true
	}
	allowed := "from " + low + " to " + high
	if low == high {
		allowed = low
	}
	unit := ""
	if strings.ContainsAny(low, "smh") && n.kind == number {
		unit = " nanoseconds"
	}
	d.bad(n, path, fault.NumberOutOfRange, "%s is %s%s, and has to be %s", named(path), n.text, unit, allowed)
	return false
}

func (d *decoder) count(n *node, path string, have int, tag reflect.StructTag, code fault.Code) bool {
	low, high, ok := bounds(tag, "count")
	if !ok {
		return true
	}
	least, _ := strconv.Atoi(low)
	most, _ := strconv.Atoi(high)
	switch {
	case have < least:
		d.bad(n, path, fault.PolicyValueEmpty, "%s has %s, and needs at least %d", named(path), entries(have), least)
		return false
	case have > most:
		d.bad(n, path, code, "%s has %s, and at most %d are allowed", named(path), entries(have), most)
		return false
	}
	return true
}

func entries(n int) string {
	switch n {
	case 0:
		return "no entry"
	case 1:
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

func (d *decoder) length(n *node, path, s string, tag reflect.StructTag) bool {
	low, high, ok := bounds(tag, "length")
	if !ok {
		return true
	}
	least, _ := strconv.Atoi(low)
	most, _ := strconv.Atoi(high)
	switch have := len([]rune(s)); {
	case have == 0 && least > 0:
		d.bad(n, path, fault.PolicyValueEmpty, "%s is empty", named(path))
		return false
	case have < least:
		d.bad(n, path, fault.TextTooShort, "%s has %d characters, and at least %d are needed", named(path), have, least)
		return false
	case have > most:
		d.bad(n, path, fault.TextTooLong, "%s has %d characters, and at most %d are allowed", named(path), have, most)
		return false
	}
	return true
}

func (d *decoder) enum(n *node, path string, tag reflect.StructTag) bool {
	values := tag.Get("enum")
	if values == "" {
		return true
	}
	list := strings.Split(values, ",")
	if slices.Contains(list, n.text) {
		return true
	}
	if len(list) == 1 {
		d.bad(n, path, fault.PolicyValueUnknown, "%s is %q, and has to be %s", named(path), n.text, values)
		return false
	}
	near := ""
	if i := slices.IndexFunc(list, func(s string) bool { return strings.EqualFold(s, n.text) }); i >= 0 {
		near = "; did you mean " + list[i] + "?"
	} else {
		near = didYouMean(n.text, list)
	}
	d.bad(n, path, fault.PolicyValueUnknown, "%s is %q, and has to be one of %s%s", named(path), n.text, strings.Join(list, ", "), near)
	return false
}
