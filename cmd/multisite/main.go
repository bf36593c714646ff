// Command multisite runs many websites from one code base on one machine.
//
// It only parses the command line and prints results: each command has a file of its
// own with its flags and its wording. Package supervisor does the work.
package main

import (
	"context"
	"io"
	"os"
	"runtime"

	"github.com/multisite/multisite/supervisor/visible"
	"github.com/multisite/multisite/worker/process"
)

// init locks the main goroutine to the main thread. Only children of that thread
// survive an upgrade of the supervisor, and only init runs early enough.
func init() { runtime.LockOSThread() }

func main() {
	var code int
	process.ServeMain(func() { code = run(context.Background(), os.Args[1:]) })
	os.Exit(code)
}

// escaped returns a writer to w for text that a person reads. The text may contain URLs
// of strangers and output of a site's code.
func escaped(w io.Writer) io.Writer { return &visible.Writer{W: w} }

// run executes the command line and returns the exit code: 0 for success, 1 for a
// failure, 2 for wrong usage or a bad sites.toml.
func run(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(escaped(os.Stdout))
	root.SetErr(escaped(os.Stderr))
	return report(os.Stderr, root.ExecuteContext(ctx))
}
