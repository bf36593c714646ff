package fastloop

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/multisite/multisite/supervisor/site"
)

// TestClient_DetachedBodyIsNotShared: the receiver owns the body, so no other request gets
// its memory.
func TestClient_DetachedBodyIsNotShared(t *testing.T) {
	t.Parallel()
	var detached *Detached
	l, err := New(Options{Detach: func(d *Detached) { detached = d }})
	if err != nil {
		t.Fatal(err)
	}
	near, far := socketPair(t)
	l.add(near, "192.0.2.1:1", nil, time.Hour)
	c := l.clients[near]
	c.site, l.busy[c] = &site.Site{Stats: &site.Stats{}}, true
	c.site.Stats.Begin()
	c.request.Length, c.request.Body = smallBody+1, append(c.bodyMemory(smallBody+1), "half"...)
	c.detach()
	if detached == nil || string(detached.Buffered) != "half" || detached.End.Found() {
		t.Fatalf("got %+v", detached)
	}
	defer detached.Socket.Close()
	for i := range l.blocks {
		if l.blocks[i].Get() != nil {
			t.Error("the memory of the body is free")
		}
	}
	_ = unix.Close(far)
	go l.Run()
	l.Close()
	<-l.Done()
}
