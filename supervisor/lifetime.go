package supervisor

import (
	"errors"
	"sync"
)

var errStopping = errors.New("the supervisor is going down")

// lifetime tells how far a supervisor is.
type lifetime struct {
	serving chan struct{} // closed when Run serves, with all that an upgrade has left
	stop    chan struct{} // closed by end
	done    chan struct{} // closed when the last worker has exited

	once sync.Once
}

func newLifetime() *lifetime {
	return &lifetime{serving: make(chan struct{}), stop: make(chan struct{}), done: make(chan struct{})}
}

// end lets Run return. From now on no site is added, and no upgrade happens.
func (l *lifetime) end() { l.once.Do(func() { close(l.stop) }) }

// ending returns an error after end.
func (l *lifetime) ending() error {
	select {
	case <-l.stop:
		return errStopping
	default:
		return nil
	}
}
