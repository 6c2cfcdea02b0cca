// Forward puts a service of this machine on the network. Its argument is the
// service: a port, host:port or a URL.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/culvert-project/culvert"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	defer culvert.DefaultAgent.Disconnect() //nolint:errcheck // the program ends
	upstream := "8080"
	if len(args) > 0 {
		upstream = args[0]
	}
	fwd, err := culvert.Forward(ctx, culvert.WithUpstream(upstream))
	if err != nil {
		return err
	}
	to := fwd.UpstreamURL()
	fmt.Fprintln(os.Stdout, fwd.URL(), "->", to.String())
	<-fwd.Done()
	return nil
}
