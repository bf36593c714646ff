package process

import "time"

// OutputState is an Output as one image of this program hands it over to the next.
type OutputState struct {
	FD          int      `json:"fd"`             // the end to read from
	Partial     []byte   `json:"rest,omitempty"` // the part of a line that was read
	Tail        []string `json:"tail,omitempty"`
	OutOfMemory bool     `json:"out_of_memory,omitempty"`
}

// handOver stops the reading and packs what is needed to go on. It returns nil if the
// output has ended.
func (o *Output) handOver(b *Baggage) (*OutputState, error) {
	if !o.stopReading() {
		return nil, nil
	}
	b.OnFailure(o.readOn)
	o.mu.Lock()
	defer o.mu.Unlock()
	fd, err := b.Pack(o.r)
	if err != nil {
		return nil, err
	}
	return &OutputState{FD: fd, Partial: o.partial, Tail: o.tail, OutOfMemory: o.outOfMemory}, nil
}

// inherit returns an Output that reads on.
func (s *OutputState) inherit(b *Baggage, line func(string)) (*Output, error) {
	r, err := b.Take(s.FD, "output")
	if err != nil {
		return nil, err
	}
	o := &Output{r: r, line: line, done: make(chan struct{}), partial: s.Partial, tail: s.Tail, outOfMemory: s.OutOfMemory}
	go o.read()
	return o, nil
}

// stopReading stops the reading, so that what is written from now on stays in the pipe. It
// returns false if the output has ended.
func (o *Output) stopReading() bool {
	o.mu.Lock()
	parked := make(chan struct{})
	o.parked = parked
	o.mu.Unlock()
	_ = o.r.SetReadDeadline(time.Unix(1, 0)) // cannot fail: it is a pipe or socket
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

// park keeps the part of a line that was read and returns true, if the reading is to stop.
func (o *Output) park(partial []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.parked == nil {
		return false
	}
	o.partial = partial
	close(o.parked)
	return true
}

func (o *Output) takePartial() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	partial := o.partial
	o.partial = nil
	return partial
}
