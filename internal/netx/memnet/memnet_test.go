package memnet_test

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/netx/memnet"
)

func TestHalfClose(t *testing.T) {
	t.Parallel()
	n := memnet.New()
	l, err := n.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a, err := n.Dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	if err := a.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(b)
	if err != nil || string(got) != "question" {
		t.Fatalf("read %q, %v; want the question and EOF", got, err)
	}
	if _, err := b.Write([]byte("answer")); err != nil {
		t.Fatalf("write after the peer's half-close: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(a); err != nil || string(got) != "answer" {
		t.Fatalf("read %q, %v; want the answer and EOF", got, err)
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
		defer a.Close()
		defer b.Close()
		start := time.Now()
		if err := a.SetReadDeadline(start.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		_, err := a.Read(make([]byte, 1))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read: %v, want deadline exceeded", err)
		}
		if waited := time.Since(start); waited != time.Hour {
			t.Fatalf("waited %v, want 1h", waited)
		}
	})
}

func TestDialNobody(t *testing.T) {
	t.Parallel()
	_, err := memnet.New().Dial(t.Context(), "tcp", "127.0.0.1:1")
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("dial: %v, want connection refused", err)
	}
}
