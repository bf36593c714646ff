package process

import "sync/atomic"

// mainCalls passes functions to the main thread; nil: ServeMain does not run. It is
// global because the main thread is.
var mainCalls atomic.Pointer[chan func()]

// ServeMain runs f in a goroutine, and meanwhile runs here what must run on the main
// thread. It returns when f does. It must be called by the main goroutine, which an init
// function has locked to the main thread (runtime.LockOSThread).
//
// A child dies with the thread that started it (PR_SET_PDEATHSIG), and execve ends all
// threads but its caller, which becomes the main thread. So while ServeMain runs, every
// process is started by the main thread and survives Exec. A process that others fork on
// our behalf becomes the main thread's child anyway: the kernel gives an orphan to the
// first living thread of a subreaper.
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

// onMain runs f on the main thread if ServeMain runs, otherwise on this one, and returns
// when f has.
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
