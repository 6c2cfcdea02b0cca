package main

import (
	"context"
	"os"

	"github.com/culvert-project/culvert/cmd/culvert/cli"
)

func main() {
	os.Exit(cli.Main(context.Background(), os.Args, os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}
