package note

import (
	"context"
	"fmt"
	"regexp"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// Bounds of set-vars (traffic-policy.md 1.7).
const (
	maxVars  = 100
	maxDepth = 10
)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

type setVarsConfig struct {
	Vars policy.Tree `field:"vars,required" doc:"a list of mappings with one entry each, from a name to a value of any kind; texts may hold ${…}, nested ones too"`
}

func setVarsDefinition() policy.Definition {
	return policy.Define(policy.Definition{
		Type:    "set-vars",
		Doc:     "Sets variables, which later expressions read as vars.NAME.",
		Phases:  []policy.Phase{policy.OnTCPConnect, policy.OnHTTPRequest, policy.OnHTTPResponse},
		Schemes: everywhere(),
	}, setVarsConfig{}, buildSetVars)
}

type variable struct {
	name  string
	value policy.Tree
}

type setVars struct{ vars []variable }

func buildSetVars(c *setVarsConfig, b *policy.Build) policy.Action {
	a := &setVars{}
	names, list := c.Vars.Entries()
	switch {
	case names != nil:
		b.Warn("vars", fault.VariablesInvalid, "vars is a list of mappings with one entry each; this one mapping is read in its written order")
		for i, name := range names {
			a.add(b, "vars."+name, name, list[i])
		}
	default:
		for i := range list {
			field := fmt.Sprintf("vars[%d]", i)
			names, values := list[i].Entries()
			if len(names) != 1 {
				b.Problem(field, fault.VariablesInvalid, "each entry of vars is a mapping with one key, the name of the variable")
				continue
			}
			a.add(b, field+"."+names[0], names[0], values[0])
		}
		if len(list) == 0 {
			b.Problem("vars", fault.VariablesInvalid, "vars is a list of mappings with one entry each, such as [{name: value}]")
		}
	}
	if len(a.vars) > maxVars {
		b.Problem("vars", fault.PolicyTooManyElements, "there are %d variables, and at most %d are allowed", len(a.vars), maxVars)
	}
	return a
}

func (a *setVars) add(b *policy.Build, field, name string, value policy.Tree) {
	if !variableName.MatchString(name) {
		b.NameProblem(field, fault.PolicyValueInvalid, "%q is no name of a variable: letters, digits, _ and -, not beginning with a digit or -", name)
	}
	if d := value.Depth(); d > maxDepth {
		b.Problem(field, fault.VariablesTooDeep, "the value nests %d levels deep, and at most %d are allowed", d, maxDepth)
	}
	a.vars = append(a.vars, variable{name, value})
}

// Do implements policy.Action.
func (a *setVars) Do(_ context.Context, x *policy.Exchange) (policy.Verdict, error) {
	for i := range a.vars {
		if i > 0 {
			x.Changed() // a variable may build on those before it
		}
		v, err := a.vars[i].value.Value(x)
		if err != nil {
			return 0, err
		}
		x.SetVar(a.vars[i].name, v)
	}
	return policy.Continue, nil
}
