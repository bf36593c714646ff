// Package journal records events of sites and workers, memory samples, and the number
// of processes that an operator scaled a site to, in a SQLite file.
//
// Recording never blocks: Record puts an event into a buffer and returns, and one
// goroutine writes the buffer in batches. If the buffer or the disk is full, events are
// dropped with one warning. A file that cannot be used is moved aside, or the journal is
// kept in memory. Only scale overrides are written before the call returns, because the
// command that set them reports that they last.
package journal

import (
	"context"
	"database/sql"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Options configures a Journal. The zero value is valid.
type Options struct {
	Keep    time.Duration // how long rows are kept; default 30 days
	MaxRows int           // how many events, and how many samples, are kept; default 100,000
	Buffer  int           // how many rows may wait to be written; default 4096
	Log     *slog.Logger  // default: discard

	Now func() time.Time // the clock of the history; default: time.Now
}

func (o Options) withDefaults() Options {
	if o.Keep == 0 {
		o.Keep = 30 * 24 * time.Hour
	}
	if o.MaxRows == 0 {
		o.MaxRows = 100_000
	}
	if o.Buffer == 0 {
		o.Buffer = 4096
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Event is something that happened to a site or one of its workers.
type Event struct {
	Time   time.Time // the time of recording if it is zero
	Site   string
	Worker string
	PID    int
	Kind   string // "worker exited", "site reloaded", …
	Reason string
	Detail string // text or JSON
}

// Sample is the memory of a site's processes at one moment, in bytes.
type Sample struct {
	Time          time.Time // the time of recording if it is zero
	Site          string
	Workers       int
	PSS, USS, RSS int64
	ZygotePSS     int64
}

// Journal is an open journal. Its methods may be called from any goroutine.
type Journal struct {
	options Options // with the defaults filled in
	db      *sql.DB
	queue   chan entry    // rows that wait to be written; only write reads it
	stop    chan struct{} // closed by Close, once
	done    chan struct{} // closed when write has returned
	once    sync.Once
	dropped atomic.Int64 // rows lost since the last batch that was written
}

// Open opens the journal at path and creates it if there is none. A file that is damaged
// or of a newer version is moved aside. If no file can be used, the journal is kept in
// memory. Both are logged as warnings and are not an error.
func Open(path string, o Options) (*Journal, error) {
	o = o.withDefaults()
	db, err := openOrReplace(path, o.Log)
	if err != nil {
		return nil, err
	}
	j := &Journal{
		options: o,
		db:      db,
		queue:   make(chan entry, o.Buffer),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
	}
	go j.write()
	return j, nil
}

// Close writes the buffer and closes the file. Later records are dropped. Close may be
// called more than once.
func (j *Journal) Close() error {
	j.once.Do(func() { close(j.stop) })
	<-j.done
	return j.db.Close()
}

// Record records an event. It never blocks and never fails.
func (j *Journal) Record(e Event) {
	j.enqueue(entry{
		query: "INSERT INTO event (time_us, site, worker, pid, kind, reason, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
		args:  []any{micros(e.Time), e.Site, e.Worker, e.PID, e.Kind, e.Reason, e.Detail},
	})
}

// RecordSample records a memory sample. It never blocks and never fails.
func (j *Journal) RecordSample(s Sample) {
	j.enqueue(entry{
		query: "INSERT INTO sample (time_us, site, workers, pss, uss, rss, zygote_pss) VALUES (?, ?, ?, ?, ?, ?, ?)",
		args:  []any{micros(s.Time), s.Site, s.Workers, s.PSS, s.USS, s.RSS, s.ZygotePSS},
	})
}

func (j *Journal) enqueue(e entry) {
	select {
	case <-j.stop:
		return
	default:
	}
	select {
	case j.queue <- e:
	default:
		j.drop(1, "the buffer is full")
	}
}

// drop counts n lost rows and logs a warning, once until a batch is written again.
func (j *Journal) drop(n int, reason any) {
	if j.dropped.Add(int64(n)) == int64(n) {
		j.options.Log.Warn("journal drops events", "error", reason)
	}
}

// Flush returns when everything recorded before the call has been written or dropped.
func (j *Journal) Flush(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case j.queue <- entry{done: done}:
	case <-j.done:
		return sql.ErrConnDone
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-done:
		return nil
	case <-j.done:
		return sql.ErrConnDone
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		t = time.Now()
	}
	return t.UnixMicro()
}
