package mux_test

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/culvert-project/culvert/internal/mux"
)

// tunnelled starts edge and agent around a TLS session and returns both ends of
// it and the address of the edge: whatever connects there is spliced through to upstream, which
// handles the connections that the agent dials.
func tunnelled(b *testing.B, upstream func(net.Conn)) (addr string, agent, edge *mux.Session) {
	b.Helper()
	agent, edge = overTLS(b)
	target := serve(b, upstream)
	go func() {
		for {
			st, err := agent.Accept(context.Background())
			if err != nil {
				return
			}
			go func() {
				if _, err := io.ReadFull(st, make([]byte, 4)); err != nil {
					return
				}
				local, err := net.Dial("tcp", target)
				if err != nil {
					st.Abort()
					return
				}
				mux.Splice(st, local, mux.SpliceOptions{})
			}()
		}
	}()
	addr = serve(b, func(c net.Conn) {
		st, err := edge.Open(context.Background(), []byte("head"))
		if err != nil {
			_ = c.Close()
			return
		}
		mux.Splice(st, c, mux.SpliceOptions{})
	})
	return addr, agent, edge
}

// serve accepts loopback connections until the benchmark ends.
func serve(b *testing.B, handle func(net.Conn)) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go handle(c)
		}
	}()
	return l.Addr().String()
}

func dialTCP(b *testing.B, addr string) net.Conn {
	b.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	return c
}

// echoConn answers each read with what it read.
func echoConn(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

// BenchmarkSpliceRequests measures requests of 128 bytes that are answered
// with 1 KiB, over connections that stay open.
func BenchmarkSpliceRequests(b *testing.B) {
	for _, conns := range []int{1, 32} {
		b.Run(map[int]string{1: "1conn", 32: "32conns"}[conns], func(b *testing.B) {
			answer := make([]byte, 1024)
			addr, agent, edge := tunnelled(b, func(c net.Conn) {
				defer c.Close()
				request := make([]byte, 128)
				for {
					if _, err := io.ReadFull(c, request); err != nil {
						return
					}
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			})
			clients := make([]net.Conn, conns)
			for i := range clients {
				clients[i] = dialTCP(b, addr)
			}
			b.ReportAllocs()
			b.ResetTimer()
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			for _, c := range clients {
				wg.Go(func() {
					request, buf := make([]byte, 128), make([]byte, len(answer))
					for left.Add(-1) >= 0 {
						if _, err := c.Write(request); err != nil {
							b.Error(err)
							return
						}
						if _, err := io.ReadFull(c, buf); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
			b.ReportMetric(float64(b.N)/float64(edge.Flushes()), "frames/flush@edge")
			b.ReportMetric(float64(b.N)/float64(agent.Flushes()), "frames/flush@agent")
		})
	}
}

// BenchmarkSpliceDownload measures one connection through which the upstream
// sends as much as it can.
func BenchmarkSpliceDownload(b *testing.B) {
	chunk := make([]byte, 256<<10)
	addr, agent, _ := tunnelled(b, func(c net.Conn) {
		defer c.Close()
		for {
			if _, err := c.Write(chunk); err != nil {
				return
			}
		}
	})
	c := dialTCP(b, addr)
	buf := make([]byte, len(chunk))
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := io.ReadFull(c, buf); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*len(buf)/1024)/float64(agent.Flushes()), "KiB/flush")
}

// BenchmarkSpliceConnections measures connections that carry one short
// exchange each.
func BenchmarkSpliceConnections(b *testing.B) {
	addr, _, _ := tunnelled(b, echoConn)
	b.SetParallelism(8)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		buf := make([]byte, 256)
		for pb.Next() {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = c.Write(buf)
			if _, err := io.ReadFull(c, buf); err != nil {
				b.Error(err)
			}
			_ = c.Close()
		}
	})
}
