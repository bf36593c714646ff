package pool_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/multisite/multisite/supervisor/pool"
)

// memoryLauncher launches workers that are no processes.
type memoryLauncher struct{}

func (memoryLauncher) Threads() int { return 0 } // as Settings say

func (memoryLauncher) Launch(_ context.Context, id string) (pool.Worker, error) {
	return &memoryWorker{id: id, done: make(chan struct{})}, nil
}

type memoryWorker struct {
	id   string
	done chan struct{}
	once sync.Once
}

func (w *memoryWorker) PID() int                    { return 0 }
func (w *memoryWorker) Done() <-chan struct{}       { return w.done }
func (w *memoryWorker) OOM() bool                   { return false }
func (w *memoryWorker) Crashed() bool               { return false }
func (w *memoryWorker) DumpStack()                  {}
func (w *memoryWorker) Probe(context.Context) error { return nil }
func (w *memoryWorker) Stop(time.Duration)          { w.Kill() }
func (w *memoryWorker) Kill()                       { w.once.Do(func() { close(w.done) }) }

// Serve answers a request, as a real worker would over its socket.
func (w *memoryWorker) Serve(what string) string { return w.id + " answers " + what }

func Example() {
	ctx := context.Background()
	p := pool.New(pool.Options{
		Site:     "shop",
		Launcher: memoryLauncher{},
		Settings: pool.Settings{Min: 1, Max: 1, Threads: 1, Backlog: 10, QueueTimeout: time.Second},
	})
	var running sync.WaitGroup
	running.Go(func() { p.Run(ctx) })

	// A claim waits until a worker is free, here until the first one is ready.
	claim, err := p.Claim(ctx, "GET /")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(claim.Worker().(*memoryWorker).Serve("GET /"))
	claim.Release()

	if err := p.Scale(ctx, 3); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Status().Ready, "workers are ready")

	p.Stop()
	running.Wait() // for the workers to exit
	_, err = p.Claim(ctx, "GET /")
	fmt.Println(err)
	// Output:
	// shop/1 answers GET /
	// 3 workers are ready
	// the site is stopped
}
