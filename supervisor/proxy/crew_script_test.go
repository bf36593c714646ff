package proxy

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/multisite/multisite/worker/fastcgi"
)

// scripted is one connection of a FastCGI worker whose bytes a test gives.
type scripted struct {
	net.Conn
	id byte
}

// stdout is a record of an answer.
func (w *scripted) stdout(content string) string {
	return string([]byte{1, 6, 0, w.id, byte(len(content) >> 8), byte(len(content)), 0, 0}) + content
}

// end ends an answer.
func (w *scripted) end() string {
	return string([]byte{1, 3, 0, w.id, 0, 8, 0, 0}) + strings.Repeat("\x00", 8)
}

// says writes records; the front door may have closed the connection.
func (w *scripted) says(records ...string) error {
	_, err := io.WriteString(w, strings.Join(records, ""))
	return err
}

// newScripted returns a crew of workers that run a script for each request. If that returns
// false, the worker closes the connection.
func newScripted(tb testing.TB, workers int, script func(w *scripted) bool) *crew {
	return newCrewOf(tb, func(c *crew) *crewWorker { return c.hireScripted(script) }, workers, nil)
}

func (c *crew) hireScripted(script func(w *scripted) bool) *crewWorker {
	c.hired++
	path := filepath.Join(c.tb.TempDir(), "w.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		c.tb.Error(err)
		return nil
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				for w := (&scripted{Conn: conn}); w.request() && script(w); {
				}
			})
		}
	})
	kill := func() { l.Close() }
	client := fastcgi.NewClient(fastcgi.Options{Socket: path})
	if err := client.Probe(c.tb.Context()); err != nil && c.tb.Context().Err() == nil {
		c.tb.Error(err)
	}
	c.tb.Cleanup(func() {
		kill()
		client.Close()
		serving.Wait()
	})
	return &crewWorker{id: fmt.Sprintf("site/%d", c.hired), python: &python{client, kill}}
}

// request reads a request to its end, and answers what is asked of the worker itself.
func (w *scripted) request() bool {
	for {
		var h [8]byte
		if _, err := io.ReadFull(w, h[:]); err != nil {
			return false
		}
		length := int(binary.BigEndian.Uint16(h[4:]))
		if _, err := io.CopyN(io.Discard, w, int64(length)+int64(h[6])); err != nil {
			return false
		}
		switch w.id = h[3]; {
		case h[1] == 9:
			_ = w.says(string([]byte{1, 10, 0, 0, 0, 0, 0, 0}))
		case h[1] == 5 && length == 0:
			return true
		}
	}
}
