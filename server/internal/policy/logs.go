package policy

import (
	"encoding/json"

	"github.com/culvert-project/culvert/server/internal/expr"
)

// MaxLogs is how many bytes of JSON the log actions of one exchange may record
// (traffic-policy.md 6.12).
const MaxLogs = 16 << 10

// Log records metadata, as {"metadata": {…}} with the metadata as JSON. When
// there would be more than MaxLogs of them, {"truncated": true} ends the list.
func (x *Exchange) Log(metadata map[string]any) error {
	text, err := expr.Text(metadata)
	if err != nil {
		return err
	}
	x.record(map[string]any{"metadata": json.RawMessage(text)}, len(text))
	return nil
}

// record appends an entry with so many bytes of metadata, as long as there is
// room.
func (x *Exchange) record(entry map[string]any, size int) {
	if x.logged > MaxLogs {
		return
	}
	if x.logged += size; x.logged > MaxLogs {
		entry = map[string]any{"truncated": true}
	}
	x.Logs = append(x.Logs, entry)
}

// AddLogs appends what another exchange has recorded, which was a part of this
// one and had got these values of secrets.
func (x *Exchange) AddLogs(entries []map[string]any, disclosed []string) {
	x.disclose(disclosed...)
	for _, entry := range entries {
		text, _ := entry["metadata"].(json.RawMessage)
		x.record(entry, len(text))
	}
}
