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
	if x.logged > MaxLogs {
		return nil
	}
	text, err := expr.Text(metadata)
	if err != nil {
		return err
	}
	if x.logged += len(text); x.logged > MaxLogs {
		x.Logs = append(x.Logs, map[string]any{"truncated": true})
		return nil
	}
	x.Logs = append(x.Logs, map[string]any{"metadata": json.RawMessage(text)})
	return nil
}
