// Http serves a page at a public URL with no port open on this machine.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

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
	ln, err := culvert.Listen(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "open", ln.URL())
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			fmt.Fprintf(w, "Hello %s, you asked for %s\n", r.RemoteAddr, r.URL) //nolint:gosec // as plain text
		}),
		ReadHeaderTimeout: 10 * time.Second,
	}
	if err := server.Serve(ln); !errors.Is(err, net.ErrClosed) {
		return err
	}
	// After Ctrl+C the listener has ended; requests under way may finish.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}
