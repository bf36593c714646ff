package control

import (
	"context"
	"io"
	"net"
	"os"
	"reflect"
	"testing"
)

// TestUpgrade_AnsweredByTheNext: the connection that the supervisor takes from the
// server is what the next program answers on, and the client gets that answer.
func TestUpgrade_AnsweredByTheNext(t *testing.T) {
	t.Parallel()
	want := Upgraded{PID: 7, From: "v1", To: "v2", Paused: 0.5}
	answered := make(chan error, 1)
	c := serve(t, &fake{upgrade: func(_ context.Context, program string, caller *Caller) error {
		if program != "/bin/next" || !caller.Owner {
			t.Errorf("program %q, owner %v", program, caller.Owner)
		}
		taken, err := caller.Take()
		if err != nil {
			t.Error(err)
			return err
		}
		answered <- Answer(taken.(net.Conn), want)
		return io.EOF // too late: the client has its answer, and the connection is closed after it
	}})
	if got, err := c.Upgrade(t.Context(), "/bin/next"); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

// TestUpgrade_Refused: the client gets the reason, whether the connection was taken
// by then or not.
func TestUpgrade_Refused(t *testing.T) {
	t.Parallel()
	refusal := &Error{Message: "it is too old", Hint: "build it anew"}
	for _, take := range []bool{false, true} {
		c := serve(t, &fake{upgrade: func(_ context.Context, _ string, caller *Caller) error {
			if take {
				if _, err := caller.Take(); err != nil {
					t.Error(err)
				}
			}
			return refusal
		}})
		if _, err := c.Upgrade(t.Context(), "/bin/next"); !reflect.DeepEqual(err, refusal) {
			t.Errorf("taken %v: got %#v, want %#v", take, err, refusal)
		}
	}
}

// TestUpgrade_NoAnswer: the next program exits before it answers.
func TestUpgrade_NoAnswer(t *testing.T) {
	t.Parallel()
	c := serve(t, &fake{upgrade: func(_ context.Context, _ string, caller *Caller) error {
		conn, err := caller.Take()
		if err != nil {
			return err
		}
		return conn.(net.Conn).Close()
	}})
	_, err := c.Upgrade(t.Context(), os.Args[0])
	if want := (&Error{Message: "the new program exited before it answered", Hint: "multisite logs"}); !reflect.DeepEqual(err, want) {
		t.Errorf("got %#v, want %#v", err, want)
	}
}
