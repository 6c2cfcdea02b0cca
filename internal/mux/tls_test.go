package mux_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx"
)

func certificate(tb testing.TB) tls.Certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// overTLS returns sessions as agent and edge have them: TLS over a batched
// loopback socket.
func overTLS(tb testing.TB) (client, server *mux.Session) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	c := tls.Client(netx.NewBatch(dialled), &tls.Config{InsecureSkipVerify: true, DynamicRecordSizingDisabled: true}) //nolint:gosec // the peer is this test
	s := tls.Server(netx.NewBatch(accepted), &tls.Config{
		Certificates:                []tls.Certificate{certificate(tb)},
		DynamicRecordSizingDisabled: true,
	})
	go func() { _ = c.Handshake() }()
	if err := s.Handshake(); err != nil {
		tb.Fatal(err)
	}
	start := func(conn net.Conn, role mux.Role) *mux.Session {
		session := mux.New(conn, mux.Config{Role: role})
		done := make(chan error, 1)
		go func() { done <- session.Run(context.Background()) }()
		tb.Cleanup(func() {
			_ = session.Close()
			<-done
		})
		return session
	}
	return start(c, mux.Client), start(s, mux.Server)
}

func TestOverTLSBothWaysAtOnce(t *testing.T) {
	t.Parallel()
	client, server := overTLS(t)
	server.SetQuickAck(true)
	go echo(server)
	go echo(client)
	want := bytes.Repeat([]byte("0123456789abcdef"), 256<<10)
	var wg sync.WaitGroup
	for _, s := range []*mux.Session{client, server, client, server} {
		wg.Go(func() {
			st, err := s.Open(context.Background(), want[:1])
			if err != nil {
				t.Errorf("open: %v", err)
				return
			}
			defer st.Close()
			go func() {
				_, _ = st.Write(want[1:])
				_ = st.CloseWrite()
			}()
			got, err := io.ReadAll(st)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes came back, %v; want %d equal ones", len(got), err, len(want))
			}
		})
	}
	wg.Wait()
}

func BenchmarkRoundTrip(b *testing.B) {
	client, server := overTLS(b)
	go echo(server)
	st, err := client.Open(context.Background(), []byte("h"))
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 1024)
	if _, err := st.Read(buf); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := st.Write(buf); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(st, buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBulk(b *testing.B) {
	client, server := overTLS(b)
	st, err := client.Open(context.Background(), []byte("h"))
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		peer, err := server.Accept(context.Background())
		if err == nil {
			_, _ = io.Copy(io.Discard, peer)
		}
	}()
	buf := make([]byte, 2*frame.MaxSend)
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		if _, err := st.Write(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStreams(b *testing.B) {
	client, server := overTLS(b)
	go echo(server)
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		buf := make([]byte, 256)
		for pb.Next() {
			st, err := client.Open(context.Background(), []byte("head"))
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = st.Write(buf)
			_ = st.CloseWrite()
			if _, err := io.Copy(io.Discard, st); err != nil {
				b.Error(err)
			}
			_ = st.Close()
		}
	})
}
