package identity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/culvert-project/culvert/internal/datafile"
)

const (
	// tokenFile is the file's name in the data directory.
	tokenFile = "tokens.json"
	// maxFile bounds its size: some 20 000 tokens.
	maxFile = 8 << 20
	// fileVersion is the version of its format.
	fileVersion = 1
)

// content is the file's format.
type content struct {
	Version int `json:"version"`
	// KeyCheck changes with the keys that the hashes were made with. Files of before it have none.
	KeyCheck string   `json:"key_check,omitempty"`
	Tokens   []Record `json:"tokens"`
}

func encode(all []Record, check string) ([]byte, error) {
	data, err := json.MarshalIndent(content{Version: fileVersion, KeyCheck: check, Tokens: all}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode tokens: %w", err)
	}
	return append(data, '\n'), nil
}

// decode reads a file, strictly: a field it does not know may be a restriction it would not enforce.
func decode(data []byte) (all []Record, check string, err error) {
	var c content
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return nil, "", err
	}
	if dec.More() {
		return nil, "", errors.New("something follows the end")
	}
	if c.Version != fileVersion {
		return nil, "", fmt.Errorf("its version is %d, and this program reads %d", c.Version, fileVersion)
	}
	for i, r := range c.Tokens {
		if r.ID == "" || r.Account == "" || r.Hash == "" {
			return nil, "", fmt.Errorf("token %d is incomplete", i)
		}
	}
	return c.Tokens, c.KeyCheck, nil
}

const (
	lockWait = 10 * time.Second
	lockPoll = 10 * time.Millisecond
)

// lock takes an exclusive lock between processes. It waits until ctx ends, at most lockWait.
func lock(ctx context.Context, path string) (io.Closer, error) {
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	for {
		held, err := datafile.TryLock(path)
		if !errors.Is(err, datafile.ErrLocked) {
			return held, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("lock %s: %w", path, err)
		case <-time.After(lockPoll):
		}
	}
}
