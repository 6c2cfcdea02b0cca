package expr

import (
	"fmt"
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// opaque is a value that expressions can pass on and nothing else.
type opaque struct{}

var opaqueType = types.NewOpaqueType("culvert.opaque")

// ConvertToNative implements ref.Val.
func (opaque) ConvertToNative(reflect.Type) (any, error) {
	return nil, fmt.Errorf("unsupported conversion")
}

// ConvertToType implements ref.Val.
func (opaque) ConvertToType(t ref.Type) ref.Val {
	return types.NewErr("type conversion error to %s", t)
}

// Equal implements ref.Val.
func (opaque) Equal(ref.Val) ref.Val { return types.False }

// Type implements ref.Val.
func (opaque) Type() ref.Type { return opaqueType }

// Value implements ref.Val.
func (opaque) Value() any { return nil }

// looseName is the variable that holds one.
const looseName = "res.StatusCode"

// looseNumber is a number that also equals its text, as older documents expect
// of the status code (traffic-policy.md 7.8).
type looseNumber struct{ ref.Val }

// Equal implements ref.Val.
func (n looseNumber) Equal(other ref.Val) ref.Val {
	if s, ok := other.(types.String); ok {
		return types.Bool(fmt.Sprint(n.Value()) == string(s))
	}
	return n.Val.Equal(other)
}

// Compare implements traits.Comparer.
func (n looseNumber) Compare(other ref.Val) ref.Val { return n.Val.(traits.Comparer).Compare(other) }
