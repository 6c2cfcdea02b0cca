package identity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
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
	Version int      `json:"version"`
	Tokens  []Record `json:"tokens"`
}

func encode(all []Record) ([]byte, error) {
	data, err := json.MarshalIndent(content{Version: fileVersion, Tokens: all}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode tokens: %w", err)
	}
	return append(data, '\n'), nil
}

// decode reads a file, strictly: a field it does not know may be a restriction it would not enforce.
func decode(data []byte) ([]Record, error) {
	var c content
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, errors.New("something follows the end")
	}
	if c.Version != fileVersion {
		return nil, fmt.Errorf("its version is %d, and this program reads %d", c.Version, fileVersion)
	}
	for i, r := range c.Tokens {
		if r.ID == "" || r.Account == "" || r.Hash == "" {
			return nil, fmt.Errorf("token %d is incomplete", i)
		}
	}
	return c.Tokens, nil
}

// lock takes an exclusive lock between processes. It waits until ctx ends, at most lockWait.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	for {
		if err = tryLock(f); err == nil {
			return func() { f.Close() }, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		case <-time.After(lockPoll):
		}
	}
}

const (
	lockWait = 10 * time.Second
	lockPoll = 10 * time.Millisecond
)
