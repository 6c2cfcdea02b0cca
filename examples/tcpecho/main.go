// Tcpecho answers every byte on a public TCP port with itself.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"sync"

	"github.com/culvert-project/culvert"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	defer culvert.DefaultAgent.Disconnect() //nolint:errcheck // the program ends
	ln, err := culvert.Listen(ctx, culvert.WithURL("tcp://"))
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "try: nc", ln.URL().Hostname(), ln.URL().Port())
	var open sync.WaitGroup
	defer open.Wait()
	for {
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		open.Go(func() {
			defer conn.Close()
			fmt.Fprintln(os.Stdout, "connection from", conn.RemoteAddr())
			_, _ = io.Copy(conn, conn) // the client's going away is no failure
		})
	}
}
