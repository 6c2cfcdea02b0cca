package main

import (
	"errors"
	"os"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
)

// The variables that hold secrets. Each is also read from the file that the
// variable with _FILE behind its name names.
const (
	// bootstrapVariable sets the first authtoken, bootstrapKeyVariable an API
	// key of the first account's administrator.
	bootstrapVariable    = "CULVERT_BOOTSTRAP_AUTHTOKEN"
	bootstrapKeyVariable = "CULVERT_BOOTSTRAP_API_KEY"
	// databaseVariable names a PostgreSQL database.
	databaseVariable = envPrefix + "DATABASE_URL"
)

// secrets reads the settings that are no flags, because the list of processes
// shows flags (reliability-security.md 10, K10).
func (p *program) secrets(o *options) error {
	var errs []error
	for _, s := range []struct {
		into      *string
		variables []string
	}{
		{&o.node.BootstrapAuthtoken, aliases(bootstrapVariable)},
		{&o.node.BootstrapAPIKey, aliases(bootstrapKeyVariable)},
		{&o.node.DatabaseURL, []string{databaseVariable}},
	} {
		found := false
		for _, name := range s.variables { // all of them, which takes them out of the environment
			v, err := p.secret(name)
			if !found && (v != "" || err != nil) {
				found = true
				*s.into = v
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// aliases are the spellings of a variable: its own, and one like those of the
// other settings.
func aliases(name string) []string {
	return []string{name, envPrefix + strings.TrimPrefix(name, "CULVERT_")}
}

// maxSecretFile bounds what is read from a file that is to hold one secret.
const maxSecretFile = 4 << 10

// secret returns the value of a variable, or of the file that the variable with
// _FILE behind its name names. It is empty if neither is set. Both are taken
// out of the environment, so that nothing the program may start inherits them.
func (p *program) secret(name string) (string, error) {
	value, _ := p.getenv(name)
	file, _ := p.getenv(name + "_FILE")
	p.unsetenv(name)
	p.unsetenv(name + "_FILE")
	if value != "" || file == "" {
		return value, nil
	}
	text, err := readSecret(file)
	if err != nil {
		return "", fault.Wrap(err, fault.SecretUnreadable, file, err)
	}
	return text, nil
}

func readSecret(file string) (string, error) {
	fi, err := os.Stat(file)
	if err != nil {
		return "", err
	}
	if fi.Size() > maxSecretFile {
		return "", errors.New("it is larger than a secret can be")
	}
	text, err := os.ReadFile(file)
	return strings.TrimRight(string(text), "\r\n"), err
}
