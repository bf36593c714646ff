package process

import "sync/atomic"

// mainCalls is how functions reach the main thread; nil: nobody serves it. It is a
// property of the process, as that thread is.
var mainCalls atomic.Pointer[chan func()]

// ServeMain runs f in a goroutine and meanwhile, here, what is to run on the main
// thread; it returns when f does. It must be called by the main goroutine, locked
// to the main thread by an init function (runtime.LockOSThread).
//
// A child dies with the thread that started it (PR_SET_PDEATHSIG), and execve ends
// all threads but the one that calls it, which goes on as the main thread. So where
// ServeMain runs, every process is started by the main thread, and outlives Exec.
// What others fork on our behalf is the main thread's child anyway: the kernel
// gives what is orphaned to the first thread of a subreaper that lives.
func ServeMain(f func()) {
	calls, done := make(chan func()), make(chan struct{})
	mainCalls.Store(&calls)
	go func() {
		defer close(done)
		f()
	}()
	for {
		select {
		case call := <-calls:
			call()
		case <-done:
			return
		}
	}
}

// onMain runs f on the main thread, where that is served, and else here. It
// returns when f has.
func onMain(f func()) {
	calls := mainCalls.Load()
	if calls == nil {
		f()
		return
	}
	done := make(chan struct{})
	*calls <- func() {
		defer close(done)
		f()
	}
	<-done
}
