package tunnel

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/multisite/multisite/supervisor/site"
)

// pipe is a tunnel, and the far ends of its two connections.
type pipe struct {
	tb      testing.TB
	set     *Set
	site    *site.Site
	client  *net.TCPConn
	worker  *net.UnixConn
	entries chan site.Entry
	held    chan func() // gets the tunnel's cut
	let     chan bool   // gets a value when the hold is released
}

func pair[C net.Conn](tb testing.TB, network, address string) (near, far C) {
	tb.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial(network, l.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close(); accepted.Close() })
	return accepted.(C), c.(C)
}

// stream hides of a connection what only a bare one has.
type stream struct{ Stream }

// open starts a tunnel. bare: its client is a bare socket.
func open(tb testing.TB, bare bool, up, down State) *pipe {
	tb.Helper()
	p := &pipe{tb: tb, set: &Set{}, entries: make(chan site.Entry, 1), held: make(chan func(), 1), let: make(chan bool, 1)}
	p.site = &site.Site{Stats: &site.Stats{}, Tunnels: &site.Tunnels{}, Access: func(e *site.Entry) { p.entries <- *e }}
	clientNear, client := pair[*net.TCPConn](tb, "tcp", "127.0.0.1:0")
	workerNear, worker := pair[*net.UnixConn](tb, "unix", filepath.Join(tb.TempDir(), "w"))
	p.client, p.worker = client, worker
	o := Options{
		Client: clientNear, Worker: workerNear, Bare: bare, Up: up, Down: down, Site: p.site, Entry: site.Entry{Time: time.Now(), Status: 101},
		Hold: func(cut func()) func() { p.held <- cut; return func() { p.let <- true } },
	}
	if !bare {
		o.Client = stream{clientNear}
	}
	if !p.site.Tunnels.Enter(1) {
		tb.Fatal("no place")
	}
	p.set.Start(o)
	tb.Cleanup(p.set.Close)
	return p
}

// send writes, and reads the same at the other end.
func (p *pipe) send(from, to net.Conn, text string) {
	p.tb.Helper()
	if _, err := io.WriteString(from, text); err != nil {
		p.tb.Fatal(err)
	}
	p.want(to, text)
}

func (p *pipe) want(at net.Conn, text string) {
	p.tb.Helper()
	b := make([]byte, len(text))
	if _, err := io.ReadFull(at, b); err != nil || string(b) != text {
		p.tb.Fatalf("got %.50q, %v, want %.50q", b, err, text)
	}
}

func (p *pipe) wantEnd(at net.Conn) {
	p.tb.Helper()
	if n, err := at.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		p.tb.Fatalf("got %d bytes and %v, want the end", n, err)
	}
}

// wantLogged waits for the end of the tunnel, and checks that all is released.
func (p *pipe) wantLogged(bytes int64) {
	p.tb.Helper()
	if e := <-p.entries; e.Bytes != bytes || e.Status != 101 || e.Took <= 0 {
		p.tb.Errorf("logged %d bytes, status %d after %v, want %d bytes", e.Bytes, e.Status, e.Took, bytes)
	}
	p.set.running.Wait()
	<-p.let
	if open, _ := p.site.Tunnels.Counts(); open != 0 || p.set.Len() != 0 || !p.site.Tunnels.Enter(1) {
		p.tb.Errorf("%d and %d tunnels are left, or the place is not free", open, p.set.Len())
	}
}

func TestTunnel_HalfClose(t *testing.T) {
	t.Parallel()
	for name, bare := range map[string]bool{"bare": true, "encrypted": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := open(t, bare, State{Pending: []byte("early")}, State{Pending: []byte("head"), Passed: -4})
			p.want(p.worker, "early")
			p.want(p.client, "head")
			p.send(p.client, p.worker, "hello")
			p.send(p.worker, p.client, "hi")
			p.client.CloseWrite()
			p.wantEnd(p.worker)
			p.send(p.worker, p.client, "still here") // the other direction goes on
			p.worker.CloseWrite()
			p.wantEnd(p.client)
			p.wantLogged(int64(len("hi" + "still here")))
		})
	}
}

func TestTunnel_HalfClosedByTheWorker(t *testing.T) {
	t.Parallel()
	p := open(t, true, State{}, State{})
	p.worker.CloseWrite()
	p.wantEnd(p.client)
	p.send(p.client, p.worker, "more") // the worker still listens
	p.client.Close()
	p.wantEnd(p.worker)
	p.wantLogged(0)
}

// TestTunnel_WorkerGone: the client gets what the worker has left, and is let go also if it
// does not close.
func TestTunnel_WorkerGone(t *testing.T) {
	t.Parallel()
	p := open(t, true, State{}, State{})
	if _, err := io.WriteString(p.worker, "goodbye"); err != nil {
		t.Fatal(err)
	}
	p.worker.Close()
	p.want(p.client, "goodbye")
	p.wantEnd(p.client)
	p.wantLogged(7) // within LingerTime
}

func TestTunnel_ClientGone(t *testing.T) {
	t.Parallel()
	p := open(t, true, State{}, State{})
	p.send(p.client, p.worker, "hello")
	_ = p.client.SetLinger(0) // resets the connection
	p.client.Close()
	p.wantEnd(p.worker)
	p.wantLogged(0)
}

// TestTunnel_Cut: also one whose client takes nothing.
func TestTunnel_Cut(t *testing.T) {
	t.Parallel()
	p := open(t, true, State{}, State{})
	p.fill(p.worker)
	(<-p.held)()
	_, _ = io.Copy(io.Discard, p.worker) // ends, perhaps with a reset
	<-p.entries
	if p.set.running.Wait(); p.set.Len() != 0 {
		t.Error("the tunnel is left")
	}
}

// fill writes until the other end, and what is between, take no more.
func (p *pipe) fill(c net.Conn) (n int64) {
	p.tb.Helper()
	part := make([]byte, 1<<20)
	for {
		_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)) // it is a socket
		w, err := c.Write(part)
		if n += int64(w); err != nil {
			return n
		}
	}
}

// TestTunnel_Bounded: what the receiver does not take is not read, so that the sender waits.
func TestTunnel_Bounded(t *testing.T) {
	t.Parallel()
	p := open(t, true, State{}, State{})
	const most = 32 << 20 // the kernel's buffers of both connections hold less
	if n := p.fill(p.client); n > most {
		t.Errorf("%d bytes were taken for a worker that reads nothing", n)
	}
	if n := p.fill(p.worker); n > most {
		t.Errorf("%d bytes were taken for a client that reads nothing", n)
	}
}

// TestSet_Pause: whoever goes on with a paused tunnel loses no byte and passes none twice.
func TestSet_Pause(t *testing.T) {
	t.Parallel()
	p := open(t, true, State{}, State{})
	const size = 8 << 20
	up, down := noise(1, size), noise(2, size)
	var moving sync.WaitGroup
	move := func(from, to interface {
		net.Conn
		CloseWrite() error
	}, data []byte) {
		moving.Go(func() {
			_, _ = from.Write(data) // what arrives shows whether it failed
			from.CloseWrite()
		})
		moving.Go(func() {
			if got, err := io.ReadAll(slow{to}); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes arrived, %v, or others", len(got), err)
			}
		})
	}
	move(p.client, p.worker, up)
	move(p.worker, p.client, down)
	pauses, goes := 0, 0
	for set := p.set; ; pauses++ {
		paused, resume := set.Pause()
		if len(paused) == 0 {
			break
		}
		o := paused[0].State()
		if goes++; goes%2 == 0 {
			resume()
			continue
		}
		// As another process would: it knows only the state.
		o.Hold = func(func()) func() { return func() {} }
		_ = errors.Join(o.Client.SetDeadline(time.Time{}), o.Worker.SetDeadline(time.Time{}))
		o.Site = &site.Site{Stats: &site.Stats{}, Tunnels: &site.Tunnels{}, Access: p.site.Access}
		o.Site.Tunnels.Enter(1)
		set = &Set{}
		set.Start(o)
	}
	moving.Wait()
	if e := <-p.entries; e.Bytes != size {
		t.Errorf("logged %d bytes, want %d", e.Bytes, size)
	}
	if pauses < 10 {
		t.Errorf("only %d pauses", pauses)
	}
}

// slow reads in small parts.
type slow struct{ net.Conn }

func (s slow) Read(b []byte) (int, error) { return s.Conn.Read(b[:min(len(b), 512)]) }

func noise(seed uint64, size int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed)})
	b := make([]byte, size)
	_, _ = r.Read(b) // never fails
	return b
}

// TestSet_PauseCutsWhatNobodyCouldGoOnWith: what is encrypted cannot be handed over.
func TestSet_PauseCutsWhatNobodyCouldGoOnWith(t *testing.T) {
	t.Parallel()
	p := open(t, false, State{}, State{})
	p.send(p.client, p.worker, strings.Repeat("x", 10_000))
	if paused, _ := p.set.Pause(); len(paused) != 0 {
		t.Error("it was paused")
	}
	p.wantEnd(p.client)
	p.wantEnd(p.worker)
	p.wantLogged(0)
}
