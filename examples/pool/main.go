// Pool shares one URL between several listeners, in this process or in many:
// each connection goes to one of them. Its argument is the URL, such as
// https://pool.culvert.localhost.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/culvert-project/culvert"
)

const members = 3

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
	if len(args) != 1 {
		return errors.New("usage: pool URL")
	}
	var serving sync.WaitGroup
	defer serving.Wait()
	for n := range members {
		ln, err := culvert.Listen(ctx, culvert.WithURL(args[0]), culvert.WithPoolingEnabled(true))
		if err != nil {
			return err
		}
		server := &http.Server{
			Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprintf(w, "member %d of %d\n", n+1, members)
			}),
			ReadHeaderTimeout: 10 * time.Second,
		}
		serving.Go(func() {
			if err := server.Serve(ln); !errors.Is(err, net.ErrClosed) {
				fmt.Fprintln(os.Stderr, err)
			}
			grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			_ = server.Shutdown(grace) // what is left is cut off
		})
	}
	fmt.Fprintln(os.Stdout, members, "members serve", args[0])
	return nil
}
