package expr

import (
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
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

// costs are what our functions cost for each byte or element of what they get
// and make, in units of CEL's model, of about 50 ns. CEL takes functions that it
// does not know for free.
var costs = map[string]float64{
	"decodeJson": 0.4, "json.decode": 0.4, "isJson": 0.4, "encodeJson": 0.4, "json.encode": 0.4,
	"decodeQueryString": 1, "queryString.decode": 1, "isQueryString": 1, "encodeQueryString": 1, "queryString.encode": 1,
	"split": 0.4, "format": 0.4, "inCidrRanges": 2,
}

// otherCost is that of functions that costs does not name.
const otherCost = 0.1

// costOf returns what a function costs for each byte, if it is one of ours.
func costOf(function string) (float64, bool) {
	c, ok := costs[function]
	if !ok && ours[function] {
		c, ok = otherCost, true
	}
	return c, ok
}

// ours are the functions whose cost grows with their texts and which costs does
// not name.
var ours = func() map[string]bool {
	m := make(map[string]bool)
	for _, name := range strings.Fields(`charAt indexOf lastIndexOf substring replace reverse join lower upper lowerAscii upperAscii trim strings.quote
		encodeBase64 decodeBase64 base64.encode base64.decode b64.encode b64.decode basic_auth.encode
		parseUrl url.parse isURL contains get escapeUrl unescapeUrl url.escape url.unescape inCidrRange isPrivateIp`) {
		m[name] = true
	}
	for name := range hashes {
		m[name], m["hash."+name] = true, true
	}
	return m
}()

// EstimateCallCost implements cost.Estimator.
func (s sizes) EstimateCallCost(function, _ string, target *cost.AstNode, args []cost.AstNode) *cost.CallEstimate {
	each, ok := costOf(function)
	if !ok {
		return nil
	}
	if target != nil {
		args = append(args[:len(args):len(args)], *target)
	}
	var sum cost.SizeEstimate
	for _, a := range args {
		size := a.ComputedSize()
		if size == nil {
			size = s.EstimateSize(a)
		}
		if size == nil {
			size = &cost.SizeEstimate{Max: assumedText}
		}
		sum = sum.Add(*size)
	}
	e := sum.MultiplyByCostFactor(each)
	return &cost.CallEstimate{CostEstimate: e.Add(cost.FixedCostEstimate(1))}
}

// meter counts what functions really cost.
type meter struct{}

// CallCost implements cost.ActualCostEstimator.
func (meter) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	each, ok := costOf(function)
	switch result.(type) {
	case types.String, types.Bytes:
		if function == "_+_" { // CEL does not count those of values whose type is not known
			each, ok = otherCost, true
		}
	}
	if !ok {
		return nil
	}
	sum := size(result)
	for _, a := range args {
		sum += size(a)
	}
	total := 1 + uint64(each*sum)
	return &total
}

// size is the length of a value in bytes or elements.
func size(v ref.Val) float64 {
	switch v := v.(type) {
	case types.String:
		return float64(len(v))
	case types.Bytes:
		return float64(len(v))
	case traits.Sizer:
		if n, ok := v.Size().(types.Int); ok {
			return float64(n)
		}
	}
	return 1
}

// grows reports whether a comprehension of an expression adds texts or lists.
// The estimate does not follow them from one comprehension into the next, so
// that each could double what the one before has made.
func grows(checked *ast.AST) bool {
	found := false
	ast.PreOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.ComprehensionKind {
			return
		}
		c := e.AsComprehension()
		ast.PreOrderVisit(c.LoopStep(), ast.NewExprVisitor(func(e ast.Expr) {
			if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != "_+_" {
				return
			}
			if first := e.AsCall().Args()[0]; first.Kind() == ast.IdentKind && first.AsIdent() == c.AccuVar() {
				return // how map collects
			}
			switch checked.GetType(e.ID()).Kind() {
			case types.StringKind, types.BytesKind, types.ListKind, types.DynKind:
				found = true
			default:
			}
		}))
	}))
	return found
}
