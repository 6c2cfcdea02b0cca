//go:build !unix

package cli

import "os"

// watchSize returns nothing: changes of size are not told here.
func watchSize() (resized <-chan os.Signal, stop func()) { return nil, func() {} }
