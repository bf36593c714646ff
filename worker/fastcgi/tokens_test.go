package fastcgi

import (
	"encoding/binary"
	"math"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inTime fails the test if f waits for ever.
func inTime(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s waits", what)
	}
}

// hostile returns tokens whose worker has cleared O_NONBLOCK: its copy of the descriptor
// shares the flags with ours.
func hostile(t *testing.T) (ours tokens, its int) {
	t.Helper()
	ours, err := newTokens()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ours.close)
	if its, err = unix.FcntlInt(uintptr(ours), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(its) })
	if err := unix.SetNonblock(its, false); err != nil {
		t.Fatal(err)
	}
	return ours, its
}

func TestTokens_HostileTaker(t *testing.T) {
	t.Parallel()
	ours, its := hostile(t)
	if err := ours.add(); err != nil {
		t.Fatal(err)
	}
	var b [8]byte
	if n, err := unix.Read(its, b[:]); n != 8 || err != nil {
		t.Fatalf("got %d (%v), want a token", n, err)
	}
	inTime(t, "take", func() {
		if ours.take() {
			t.Error("got a token that the worker has")
		}
	})
}

func TestTokens_HostileCounter(t *testing.T) {
	t.Parallel()
	ours, its := hostile(t)
	if _, err := unix.Write(its, binary.NativeEndian.AppendUint64(nil, math.MaxUint64-1)); err != nil {
		t.Fatal(err)
	}
	inTime(t, "add", func() {
		for range 3 { // past the maximum
			if err := ours.add(); err != nil {
				t.Error(err)
			}
		}
	})
	inTime(t, "take", func() {
		if !ours.take() {
			t.Error("got no token of a full counter")
		}
	})
}

// TestTokens_Each adds more tokens than the kernel's list has room for, concurrently.
func TestTokens_Each(t *testing.T) {
	t.Parallel()
	const sides, each = 4, 3 * aioDepth
	var all [sides]tokens
	var adding sync.WaitGroup
	for i := range all {
		ours, _ := hostile(t)
		all[i] = ours
		adding.Go(func() {
			for range each {
				if err := ours.add(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	adding.Wait()
	for _, ours := range all {
		n := 0
		for ours.take() {
			n++
		}
		if n != each {
			t.Errorf("got %d tokens, want %d", n, each)
		}
	}
}

func BenchmarkTokens_Add(b *testing.B) {
	t, err := newTokens()
	if err != nil {
		b.Fatal(err)
	}
	defer t.close()
	for b.Loop() {
		_ = t.add()
	}
}
