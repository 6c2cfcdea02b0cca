package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/strictyaml"
)

// envPrefix begins the name of every variable that is a setting.
const envPrefix = "CULVERTD_"

func envName(name string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

func keyName(name string) string { return strings.ReplaceAll(name, "-", "_") }

// loader collects the settings of a run from their three sources.
type loader struct {
	getenv func(string) (string, bool)
	flags  *pflag.FlagSet
	file   *strictyaml.Document // nil without a file

	problems strictyaml.Problems // of the file
	faults   []error             // of flags and variables
}

// addFlags adds the flags of all settings, and --config.
func addFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.String("config", "", "YAML file with settings")
	placeholder(fs, "config", "FILE")
	for _, s := range settings() {
		if s.file {
			continue
		}
		if s.list {
			fs.StringSlice(s.name, nil, s.usage)
		} else {
			fs.String(s.name, "", s.usage)
		}
		placeholder(fs, s.name, s.arg)
	}
}

// serverFlags gives a command the flags of all settings, and what a shell can
// complete of their values.
func serverFlags(cmd *cobra.Command) {
	addFlags(cmd.Flags())
	for _, s := range settings() {
		if len(s.values) > 0 {
			_ = cmd.RegisterFlagCompletionFunc(s.name, cobra.FixedCompletions(s.values, cobra.ShellCompDirectiveNoFileComp)) // it was just made
		}
	}
	_ = cmd.MarkFlagFilename("config", "yml", "yaml") // as above
	_ = cmd.MarkFlagDirname("data-dir")
	_ = cmd.MarkFlagFilename("geoip-db", "mmdb")
	_ = cmd.MarkFlagDirname("ip-categories")
}

// shown is a flag's value with a name of its own in help. The way that package
// pflag offers, a name in backquotes, shows it in the sentence once more.
type shown struct {
	pflag.Value

	arg string
}

// Type returns the name, which is all that pflag does with it here.
func (s shown) Type() string { return s.arg }

// placeholder names the value of a flag in help.
func placeholder(fs *pflag.FlagSet, name, arg string) {
	f := fs.Lookup(name)
	f.Value, f.DefValue = shown{f.Value, arg}, ""
	if arg == boolArg {
		f.NoOptDefVal = "true"
	}
}

// load reads all settings into o, whose fields hold the defaults. Every problem
// is reported at once.
func load(o *options, flags *pflag.FlagSet, getenv func(string) (string, bool)) error {
	l := &loader{getenv: getenv, flags: flags}
	path := flags.Lookup("config").Value.String()
	if path == "" {
		path, _ = getenv(envName("config"))
	}
	if o.file = path; path != "" {
		if err := l.readFile(path, o); err != nil {
			return err
		}
	}
	for _, s := range settings() {
		l.apply(o, s)
	}
	if err := l.problems.Err(); err != nil {
		l.faults = append([]error{fault.Wrap(err, fault.ServerConfigInvalid, path)}, l.faults...)
	}
	return errors.Join(l.faults...)
}

// apply sets one setting from the first source that has it: flag, variable,
// file.
func (l *loader) apply(o *options, s setting) {
	if !s.file {
		if f := l.flags.Lookup(s.name); f != nil && f.Changed {
			l.set(o, s, l.flagValues(s), "--"+s.name)
			return
		}
		if v, ok := l.getenv(envName(s.name)); ok && v != "" {
			values := []string{v}
			if s.list {
				values = splitList(v)
			}
			l.set(o, s, values, envName(s.name))
			return
		}
	}
	l.setFromFile(o, s)
}

func (l *loader) flagValues(s setting) []string {
	f := l.flags.Lookup(s.name)
	if v, ok := f.Value.(shown); ok {
		if all, ok := v.Value.(pflag.SliceValue); ok {
			return all.GetSlice()
		}
	}
	return []string{f.Value.String()}
}

func (l *loader) set(o *options, s setting, values []string, source string) {
	for _, v := range values {
		if err := s.set(o, v); err != nil {
			l.faults = append(l.faults, fault.Wrap(err, fault.SettingInvalid, v, source, message(err)))
		}
	}
}

// message is err's text for the middle of a sentence.
func message(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return strings.TrimSuffix(f.Message, ".")
	}
	return err.Error()
}

func splitList(v string) []string {
	var all []string
	for part := range strings.SplitSeq(v, ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}

// readFile parses the YAML file, notes its structural problems and reads the
// limits in it.
func (l *loader) readFile(path string, o *options) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fault.Wrap(err, fault.ServerConfigUnreadable, path, err)
	}
	var keys fileKeys
	l.file, err = strictyaml.Parse(path, data, strictyaml.Options{Env: l.getenv})
	if err == nil {
		err = l.file.Decode(&keys)
	}
	if err != nil && !errors.As(err, &l.problems) {
		return err
	}
	o.node.Edge, o.node.Agents = keys.Limits.Edge, keys.Limits.Agents
	o.node.SSH, o.node.Endpoints, o.node.API = keys.Limits.SSH, keys.Limits.Endpoints, keys.Limits.API
	if l.file != nil {
		l.problems = append(l.problems, keys.Limits.check(l.file, l.problems)...)
	}
	return nil
}

// setFromFile sets one setting from the file, if it is there.
func (l *loader) setFromFile(o *options, s setting) {
	key := keyName(s.name)
	if l.file == nil || !l.file.Has(key) {
		return
	}
	if v, ok := l.file.Scalar(key); ok {
		values := []string{v}
		if s.list {
			values = splitList(v)
		}
		for _, v := range values {
			l.setKey(o, s, key, v)
		}
		return
	}
	if !s.list {
		return // Decode has reported it
	}
	for i := 0; ; i++ {
		at := fmt.Sprintf("%s[%d]", key, i)
		if !l.file.Has(at) {
			return
		}
		v, ok := l.file.Scalar(at)
		if !ok {
			l.problems = append(l.problems, l.file.Problem(at, "must be plain text", ""))
			continue
		}
		l.setKey(o, s, at, v)
	}
}

func (l *loader) setKey(o *options, s setting, key, v string) {
	if err := s.set(o, v); err != nil {
		l.problems = append(l.problems, l.file.Problem(key, fmt.Sprintf("%q is not valid: %s", v, message(err)), ""))
	}
}
