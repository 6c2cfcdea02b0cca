package main

import (
	"errors"
	"os"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
)

// bootstrapVariable sets the first authtoken, or with _FILE behind it names the
// file that has it.
const bootstrapVariable = "CULVERT_BOOTSTRAP_AUTHTOKEN"

// bootstrapAlias is the same, spelt like the variables of the other settings.
const bootstrapAlias = envPrefix + "BOOTSTRAP_AUTHTOKEN"

// bootstrap returns the first authtoken, if one is set.
func (p *program) bootstrap() (string, error) {
	alias, aliasErr := p.secret(bootstrapAlias) // read in any case, which takes it out of the environment
	if v, err := p.secret(bootstrapVariable); v != "" || err != nil {
		return v, err
	}
	return alias, aliasErr
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
