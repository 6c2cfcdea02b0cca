package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/culvert-project/culvert/internal/agent/config"
	"github.com/culvert-project/culvert/internal/fault"
)

// Bounds of fetching a policy (reference: agent, 2.1).
const (
	policyWait = 10 * time.Second
	maxFetched = 1 << 20
)

// withPolicy returns s with the text of its policy, which it fetches where s
// says from where.
func withPolicy(ctx context.Context, s config.Spec) (config.Spec, error) {
	if s.PolicyURL == "" {
		return s, nil
	}
	text, err := fetch(ctx, s.PolicyURL)
	if err != nil {
		return s, fault.Wrap(err, fault.PolicyUnreadable, s.PolicyFrom, err)
	}
	s.Policy = text
	return s, nil
}

func fetch(ctx context.Context, from string) (string, error) {
	client := &http.Client{
		Timeout: policyWait,
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > 5 {
				return errors.New("it redirects too often")
			}
			return config.CheckPolicyURL(req.URL)
		},
	}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close() //nolint:errcheck // it has been read
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the answer is %s", resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxFetched+1))
	if err == nil && len(text) > maxFetched {
		err = errors.New("it is larger than 1 MiB")
	}
	return string(text), err
}

// fromPolicy names the policy in a refusal that is about it.
func fromPolicy(err error, s config.Spec) error {
	if !fault.Has(err, fault.PolicyRefused) || s.PolicyFrom == "" {
		return err
	}
	f := *fault.From(err)
	f.Message = s.PolicyFrom + ": " + f.Message
	f.Cause = err
	return &f
}
