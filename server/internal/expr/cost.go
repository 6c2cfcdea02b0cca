package expr

import (
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
)

// What is assumed of the size of values that are known only at run time: the
// most that a header value, a list of fields and a text of a function can have
// (reliability-security.md 9.1).
const (
	assumedText = 64 << 10
	assumedList = 500
)

// sizes estimates values for the cost of an expression.
type sizes struct{}

// EstimateSize implements cost.Estimator.
func (sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	if n.ComputedSize() != nil {
		return nil
	}
	switch n.Type().Kind() {
	case types.StringKind, types.BytesKind:
		return &cost.SizeEstimate{Max: assumedText}
	case types.ListKind, types.MapKind:
		return &cost.SizeEstimate{Max: assumedList}
	default:
		return nil
	}
}

// EstimateCallCost implements cost.Estimator.
func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}
