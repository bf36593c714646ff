package process

import (
	"time"
)

// OutputState is what one image of this program leaves to the next of an Output.
type OutputState struct {
	FD          int      `json:"fd"` // the pipe's end to read from
	Rest        []byte   `json:"rest,omitempty"`
	Tail        []string `json:"tail,omitempty"`
	OutOfMemory bool     `json:"out_of_memory,omitempty"`
}

// handOver stops the reading, and packs what is needed to go on.
func (o *Output) handOver(b *Baggage) (*OutputState, error) {
	if !o.stopReading() {
		return nil, nil // there is no more to come
	}
	b.OnFailure(o.readOn)
	o.mu.Lock()
	defer o.mu.Unlock()
	fd, err := b.Pack(o.r)
	if err != nil {
		return nil, err
	}
	return &OutputState{FD: fd, Rest: o.rest, Tail: o.tail, OutOfMemory: o.outOfMemory}, nil
}

// inherit goes on to read.
func (s *OutputState) inherit(b *Baggage, line func(string)) (*Output, error) {
	r, err := b.Take(s.FD, "output")
	if err != nil {
		return nil, err
	}
	o := &Output{r: r, line: line, done: make(chan struct{}), rest: s.Rest, tail: s.Tail, outOfMemory: s.OutOfMemory}
	go o.read()
	return o, nil
}

// stopReading returns when nobody reads: what is written stays in the pipe. False:
// the output has ended.
func (o *Output) stopReading() bool {
	o.mu.Lock()
	parked := make(chan struct{})
	o.parked = parked
	o.mu.Unlock()
	_ = o.r.SetReadDeadline(time.Unix(1, 0)) // a pipe has deadlines
	select {
	case <-parked:
		return true
	case <-o.done:
		return false
	}
}

// readOn undoes stopReading.
func (o *Output) readOn() {
	_ = o.r.SetReadDeadline(time.Time{})
	o.mu.Lock()
	o.parked = nil
	o.mu.Unlock()
	go o.read()
}

// park keeps what was read of a line, if the reading is to stop.
func (o *Output) park(rest []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.parked == nil {
		return false
	}
	o.rest = rest
	close(o.parked)
	return true
}

func (o *Output) takeRest() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	rest := o.rest
	o.rest = nil
	return rest
}
