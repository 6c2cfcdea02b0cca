package rewrite

import (
	"errors"
	"strconv"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/policy/substitute"
)

// replacement is a rule of the actions that change bodies.
type replacement struct {
	From *policy.Pattern `field:"from,required" doc:"what to replace"`
	To   *expr.Template  `field:"to" doc:"what to put in its place; $1 is what the first group of from has matched; default empty"`
}

// apply finds and replaces in a text, and adds to matches what was found.
func (r *replacement) apply(x *policy.Exchange, text []byte, index, limit int, matches []any) ([]byte, []any, error) {
	from, err := r.From.Regexp(x)
	if err != nil {
		if fault.Has(err, fault.InterpolationFailed) {
			return nil, nil, failed(err)
		}
		return nil, nil, fault.Wrap(err, fault.ReplacementPattern, err.Error())
	}
	to, err := x.Text(r.To)
	if err != nil {
		return nil, nil, failed(err)
	}
	done, err := substitute.Replace(from, text, to, limit, 1)
	if errors.Is(err, substitute.ErrTooLarge) {
		return nil, nil, fault.Wrap(err, fault.BodyTooLarge, strconv.Itoa(limit))
	}
	if len(done.Matches) > 0 {
		matches = append(matches, map[string]any{"replacement_index": int64(index), "matched_content": done.Matches[0]})
	}
	return done.Text, matches, err
}

// failed gives a failed expression the code of these actions.
func failed(err error) error {
	if cause := errors.Unwrap(err); cause != nil {
		err = cause
	}
	return fault.Wrap(err, fault.ReplacementFailed, err.Error())
}
