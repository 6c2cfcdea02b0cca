package node_test

import (
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// full is a disk without room.
type full struct{ writes atomic.Int64 }

func (f *full) Write([]byte) (int, error) {
	f.writes.Add(1)
	return 0, syscall.ENOSPC
}

// TestT74_TrafficGoesOnOnAFullDisk: what is written along the way is lost when
// there is no room for it, and nothing else.
func TestT74_TrafficGoesOnOnAFullDisk(t *testing.T) {
	t.Parallel()
	disk := new(full)
	s := nodetest.Start(t, func(c *node.Config) {
		c.Logger = slog.New(slog.NewTextHandler(disk, nil))
		c.AccessLog = slog.New(slog.NewJSONHandler(disk, nil))
	})
	for range 5 {
		a := s.Agent()
		ln := s.ServeHTTP(a, nodetest.Text("hello"), culvert.WithTrafficPolicy("on_http_request: [{actions: [{type: log, config: {metadata: {path: \"${req.url.path}\"}}}]}]"))
		if resp, body := s.Get(ln.URL().String()); resp.StatusCode != 200 || body != "hello" {
			t.Errorf("got %d %q, want hello", resp.StatusCode, body)
		}
		if err := a.Disconnect(); err != nil {
			t.Error(err)
		}
	}
	if disk.writes.Load() == 0 {
		t.Error("nothing was written, so nothing was tested")
	}
}

// TestT74_TrafficLeavesNothingOnDisk: neither requests nor agents nor strangers
// make the data directory grow.
func TestT74_TrafficLeavesNothingOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := nodetest.Start(t, func(c *node.Config) { c.DataDir = dir })
	round := func() {
		a := s.Agent()
		ln := s.ServeHTTP(a, nodetest.Text("hello"))
		s.Get(ln.URL().String())
		s.Get("http://nobody.culvert.localhost:9080/")
		if err := a.Disconnect(); err != nil {
			t.Error(err)
		}
	}
	round() // what is made once
	files, bytes := usage(t, dir)
	for range 10 {
		round()
	}
	if f, b := usage(t, dir); f != files || b > bytes {
		t.Errorf("the data directory went from %d files and %d bytes to %d and %d", files, bytes, f, b)
	}
}

// usage counts the files under dir and their bytes.
func usage(t *testing.T, dir string) (files int, bytes int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			files++
			bytes += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files, bytes
}
