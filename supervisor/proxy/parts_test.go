package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/fastloop"
	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/worker/wire"
)

// distinct is a text in which no part is like another.
func distinct(size int) string {
	b := make([]byte, 0, size+8)
	for i := 0; len(b) < size; i++ {
		b = fmt.Appendf(b, "%07x\n", i)
	}
	return string(b[:size])
}

// TestLoop_AnswersOfAnySize has a Python worker answer in one piece and in several, with a
// length and without. The loop passes all of it on.
func TestLoop_AnswersOfAnySize(t *testing.T) {
	t.Parallel()
	sizes := []int{0, 1, 1000, 4 << 10, 4<<10 + 1, 65527, 65528, 65529, 66 << 10, 100 << 10, 128<<10 - 1, 128 << 10, 128<<10 + 1, 200 << 10, 1 << 20, 5 << 20}
	text := distinct(5 << 20)
	crew := newCrewOf(t, (*crew).hirePython, 1, func(_ *crewWorker, uri string) *wire.Answer {
		var size, pieces, length int
		_, _ = fmt.Sscanf(uri, "/%d/%d/%d", &size, &pieces, &length)
		a := &wire.Answer{Status: 200, Body: []byte(text[:size]), Fields: [][2]string{{"X-Pieces", fmt.Sprint(pieces)}}}
		if length > 0 {
			a.Fields = append(a.Fields, [2]string{"Content-Length", fmt.Sprint(size)})
		}
		return a
	})
	f := startFront(t, crew, Options{})
	f.delayLook(time.Hour) // it hands nothing over because of time
	p := f.dial("")
	for _, size := range sizes {
		for _, pieces := range []int{1, 3, 100} {
			for _, length := range []int{0, 1} {
				p.send(get(fmt.Sprintf("/%d/%d/%d", size, pieces, length)))
				resp := p.wantBody(text[:size])
				if length > 0 && resp.ContentLength != int64(size) {
					t.Errorf("%d bytes: got Content-Length %d", size, resp.ContentLength)
				}
				if e := <-f.entries; e.Bytes != int64(size) || e.Status != 200 || e.Worker != "site/1" {
					t.Errorf("%d bytes: logged as %+v", size, e)
				}
			}
		}
	}
	if n, rests := crew.awaited.Load(), crew.rested.Load(); n > 0 || rests > 10 { // of those that are larger than the client's socket
		t.Errorf("goroutines waited for %d answers, and for the rest of %d", n, rests)
	}
	f.check()
}

// wait waits until a worker may go on, or the test ends.
func wait(t *testing.T, goOn <-chan bool) {
	select {
	case <-goOn:
	case <-t.Context().Done():
	}
}

// answers are what a worker may say, with the body that the client must get.
var answers = map[string]struct{ head, body string }{
	"with a length":    {"Content-Length: 12\n\n", "hello, world"},
	"without a length": {"Content-Type: text/plain\n\n", "hello, world"},
	"empty":            {"Content-Length: 0\n\n", ""},
}

// TestLoop_AnswerInTwo: wherever an answer is cut in two, it is the same.
func TestLoop_AnswerInTwo(t *testing.T) {
	t.Parallel()
	for name, a := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var at, step int
			begun, goOn := make(chan bool), make(chan bool)
			crew := newScripted(t, 1, func(w *scripted) bool {
				whole := w.stdout(a.head+a.body[:len(a.body)/2]) + w.stdout(a.body[len(a.body)/2:]) + w.end()
				step = len(whole)
				at := at
				_ = w.says(whole[:at])
				select {
				case begun <- true:
					wait(t, goOn)
				case <-t.Context().Done():
				}
				return w.says(whole[at:]) == nil
			})
			f := startFront(t, crew, Options{})
			f.delayLook(time.Hour)
			p := f.dial("")
			for at = 0; at == 0 || at < step; at++ {
				p.send(get("/"))
				<-begun
				f.loop.Probe()
				goOn <- true
				p.wantBody(a.body)
			}
		})
	}
}

// TestLoop_AnswerTruncated: wherever a worker dies in its answer, no client takes a part for
// the whole.
func TestLoop_AnswerTruncated(t *testing.T) {
	t.Parallel()
	for name, a := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			length := len(a.head) + len(a.body) + 3*8 + 8
			for at := range length {
				crew := newScripted(t, 2, func(w *scripted) bool {
					whole := w.stdout(a.head+a.body[:len(a.body)/2]) + w.stdout(a.body[len(a.body)/2:]) + w.end()
					_ = w.says(whole[:at])
					return false
				})
				f := startFront(t, crew, Options{})
				p := f.dial(get("/"))
				resp, err := http.ReadResponse(p.br, nil)
				if err != nil {
					continue
				}
				body, err := io.ReadAll(resp.Body)
				if err == nil && resp.StatusCode == 200 && (resp.ContentLength < 0 || string(body) != a.body) {
					t.Errorf("cut at %d of %d: got %d %q as a whole answer", at, length, resp.StatusCode, body)
				}
				until(t, "failed", func() bool { _, _, ends := crew.counts(); return strings.Contains(ends, "failed") })
			}
		})
	}
}

// TestLoop_WrongLength: the client gets no more than the length, and never less as if it
// were all.
func TestLoop_WrongLength(t *testing.T) {
	t.Parallel()
	for name, pieces := range map[string][]string{
		"longer":          {"Content-Length: 7\n\nhello", "world"},
		"longer at once":  {"Content-Length: 3\n\nhello", "world"},
		"shorter":         {"Content-Length: 20\n\nhello", "world"},
		"longer, large":   {"Content-Length: 100000\n\n" + strings.Repeat("x", 60000), strings.Repeat("x", 60000)},
		"shorter, at end": {"Content-Length: 20\n\nhello", ""},
	} {
		for _, waits := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, waits %v", name, waits), func(t *testing.T) {
				t.Parallel()
				goOn := make(chan bool)
				crew := newScripted(t, 1, func(w *scripted) bool {
					_ = w.says(w.stdout(pieces[0]))
					wait(t, goOn)
					return w.says(w.stdout(pieces[1]), w.end()) == nil
				})
				f := startFront(t, crew, Options{})
				if !waits {
					f.delayLook(time.Hour)
				}
				p := f.dial(get("/"))
				if waits {
					f.wantDetached()
				} else {
					f.loop.Probe()
				}
				close(goOn)
				checkCut(t, p)
				until(t, "logged, unless net/http had it", func() bool {
					return strings.Contains(f.logs.String(), "answer cut") || crew.awaited.Load() > 0
				})
				<-f.entries
			})
		}
	}
}

// TestLoop_Streams sends a piece only when the client has the one before. It makes no
// difference whether the loop has the answer or a goroutine.
func TestLoop_Streams(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]string{"chunked": "\n", "length": "Content-Length: 50\n\n"} {
		for _, waits := range []int{-1, 0, 5} {
			t.Run(fmt.Sprint(name, " ", waits), func(t *testing.T) {
				t.Parallel()
				says := make(chan string)
				crew := newScripted(t, 1, func(w *scripted) bool {
					_ = w.says(w.stdout(head))
					for text := range says {
						_ = w.says(w.stdout(text))
					}
					return w.says(w.end()) == nil
				})
				f := startFront(t, crew, Options{})
				f.delayLook(time.Hour)
				p := f.dial(get("/"))
				resp, err := http.ReadResponse(p.br, nil)
				if err != nil {
					t.Fatal(err)
				}
				got := make([]byte, 5)
				for i := range 10 {
					if i == waits {
						f.delayLook(0)
						f.wantDetached()
					}
					piece := fmt.Sprintf("%05d", i)
					says <- piece
					if n, err := io.ReadFull(resp.Body, got); err != nil || string(got) != piece {
						t.Fatalf("got %q, %v, want %q", got[:n], err, piece)
					}
				}
				close(says)
				if n, err := resp.Body.Read(got); n > 0 || err == nil {
					t.Errorf("got %q, %v, want the end", got[:n], err)
				}
				if e := <-f.entries; e.Bytes != 50 {
					t.Errorf("logged as %d bytes", e.Bytes)
				}
				if n := crew.rested.Load(); (n > 0) != (waits >= 0) {
					t.Errorf("goroutines waited %d times", n)
				}
				f.check()
			})
		}
	}
}

// TestLoop_TimesOutWithinAnAnswer: request_timeout cuts an answer of a worker that pauses,
// and of one that goes on for ever.
func TestLoop_TimesOutWithinAnAnswer(t *testing.T) {
	t.Parallel()
	for _, pauses := range []bool{true, false} {
		t.Run(fmt.Sprint("pauses ", pauses), func(t *testing.T) {
			t.Parallel()
			letGo := make(chan bool)
			crew := newScripted(t, 1, func(w *scripted) bool {
				err := w.says(w.stdout("\nhello"))
				for !pauses && err == nil {
					err = w.says(w.stdout(strings.Repeat("x", 1000)))
				}
				wait(t, letGo)
				return false
			})
			f := startFront(t, crew, Options{}, func(s *site.Site) { s.RequestTimeout = 2 * fastloop.DetachAfter })
			checkCut(t, f.dial(get("/")))
			until(t, "abandoned", func() bool { _, _, ends := crew.counts(); return ends == "abandon release" })
			if !strings.Contains(f.logs.String(), `msg="answer cut" limit=request_timeout`) {
				t.Errorf("not logged: %s", f.logs)
			}
			close(letGo)
		})
	}
}
