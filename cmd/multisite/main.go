// Command multisite runs many websites from one code base on one machine.
//
// main only parses and delegates: one file per command, which holds its flags,
// its wording and nothing else. Package supervisor does the work.
package main

import (
	"context"
	"io"
	"os"
	"runtime"

	"github.com/multisite/multisite/supervisor/visible"
	"github.com/multisite/multisite/worker/process"
)

// init keeps the main goroutine on the main thread, whose children outlive an
// upgrade of the supervisor. Only here can that be said early enough.
func init() { runtime.LockOSThread() }

func main() {
	var code int
	process.ServeMain(func() { code = run(context.Background(), os.Args[1:]) })
	os.Exit(code)
}

// escaped returns a writer to w for text that a person reads: it may hold the URL of a
// stranger or the output of a site.
func escaped(w io.Writer) io.Writer { return &visible.Writer{W: w} }

// run executes the command line and returns the exit code: 0 done, 1 failed,
// 2 wrong usage or bad config.
func run(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(escaped(os.Stdout))
	root.SetErr(escaped(os.Stderr))
	return report(os.Stderr, root.ExecuteContext(ctx))
}
