package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/culvert-project/culvert/internal/api"
)

// show prints an answer in a form. r is whose objects it has, nil for none.
func (p *Program) show(body json.RawMessage, form string, r *api.Resource) error {
	if body == nil {
		return nil
	}
	switch form {
	case "yaml":
		return p.showYAML(body)
	case "table":
		return p.showTable(body, r)
	}
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(body), "", "  "); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	_, err := fmt.Fprintln(p.Stdout, b.String())
	return err
}

func (p *Program) showYAML(body json.RawMessage) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	node, err := yamlNode(dec)
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	enc := yaml.NewEncoder(p.Stdout)
	enc.SetIndent(2)
	if err := enc.Encode(node); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return enc.Close()
}

// yamlNode turns the next JSON value into YAML, in the same order.
func yamlNode(dec *json.Decoder) (*yaml.Node, error) {
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	open, ok := t.(json.Delim)
	if !ok {
		node := &yaml.Node{}
		if n, isNumber := t.(json.Number); isNumber {
			node.Kind, node.Tag, node.Value = yaml.ScalarNode, "!!int", n.String()
			if strings.ContainsAny(node.Value, ".eE") {
				node.Tag = "!!float"
			}
			return node, nil
		}
		return node, node.Encode(t)
	}
	node := &yaml.Node{Kind: yaml.SequenceNode}
	if open == '{' {
		node.Kind = yaml.MappingNode
	}
	for dec.More() {
		parts := 1
		if open == '{' {
			parts = 2 // a name and its value
		}
		for range parts {
			part, err := yamlNode(dec)
			if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, part)
		}
	}
	if len(node.Content) == 0 {
		node.Style = yaml.FlowStyle
	}
	_, err = dec.Token() // the closing bracket
	return node, err
}

// maxColumns is how many fields a table of a list shows besides the id.
const maxColumns = 5

// showTable prints a line for each object of a list, or for each field of one object.
func (p *Program) showTable(body json.RawMessage, r *api.Resource) error {
	var whole map[string]json.RawMessage
	if err := json.Unmarshal(body, &whole); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	w := tabwriter.NewWriter(p.Stdout, 0, 0, 2, ' ', 0)
	var items []map[string]json.RawMessage
	if r != nil && whole[r.ListKey] != nil && whole["next_page_uri"] != nil {
		if err := json.Unmarshal(whole[r.ListKey], &items); err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		showRows(w, items, columns(items, r))
	} else {
		dec := json.NewDecoder(bytes.NewReader(body))
		_, _ = dec.Token() // the bracket of an object, as above
		for dec.More() {
			name, err := dec.Token()
			if err != nil {
				return fmt.Errorf("read the answer: %w", err)
			}
			var value json.RawMessage
			if err := dec.Decode(&value); err != nil {
				return fmt.Errorf("read the answer: %w", err)
			}
			fmt.Fprintf(w, "%s\t%s\n", name, line(value))
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	if next := whole["next_page_uri"]; next != nil && string(next) != "null" && items != nil {
		fmt.Fprintln(p.Stderr, "There are more; --all-pages shows them.")
	}
	return nil
}

func showRows(w *tabwriter.Writer, items []map[string]json.RawMessage, columns []string) {
	fmt.Fprintln(w, strings.ToUpper(strings.Join(columns, "\t")))
	for _, item := range items {
		cells := make([]string, len(columns))
		for i, name := range columns {
			cells[i] = cell(item[name])
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
}

// columns are the fields that a table of objects shows: the first ones of the manual in which an object has
// something, but for texts of many lines and objects, and when it was made.
func columns(items []map[string]json.RawMessage, r *api.Resource) []string {
	names, most := []string{"id"}, maxColumns+1
	if r.Prefix == "" { // rows that are no objects: all of it
		names, most = nil, len(r.Fields)
	}
	for i := range r.Fields {
		f := &r.Fields[i]
		name := f.Name
		if len(names) >= most {
			break
		}
		if name == "created_at" || name == "updated_at" || f.Long() || f.Type == api.Object || f.Type == api.Objects || f.Type == api.Map {
			continue
		}
		for _, item := range items {
			if cell(item[name]) != "" {
				names = append(names, name)
				break
			}
		}
	}
	for _, item := range items {
		if cell(item["created_at"]) != "" {
			return append(names, "created_at")
		}
	}
	return names
}

// maxCell is how many characters of a value a table of a list shows.
const maxCell = 48

// cell is [line], cut.
func cell(value json.RawMessage) string {
	text := line(value)
	if utf8.RuneCountInString(text) > maxCell {
		text = string([]rune(text)[:maxCell-1]) + "…"
	}
	return text
}

// line is a value as a table shows it: on one line, without control characters, the id of a reference.
func line(value json.RawMessage) string {
	text := strings.TrimSpace(string(value))
	switch {
	case text == "null", text == "[]":
		return ""
	case strings.HasPrefix(text, `"`):
		if json.Unmarshal(value, &text) != nil {
			return ""
		}
	case strings.HasPrefix(text, "{"):
		var ref api.Ref
		if json.Unmarshal(value, &ref) == nil && ref.ID != "" {
			text = ref.ID
		}
	case strings.HasPrefix(text, "["):
		var list []json.RawMessage
		if json.Unmarshal(value, &list) != nil {
			return ""
		}
		cells := make([]string, len(list))
		for i := range list {
			cells[i] = line(list[i])
		}
		text = strings.Join(cells, ",")
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == '\u007f' {
			return ' '
		}
		return r
	}, text)
}
