// Package journal keeps what happened in a SQLite file: events of sites and
// workers, memory samples, and how many processes an operator scaled a site to.
//
// Writing is never in anyone's way: Record puts an event in a buffer and returns,
// one goroutine writes in batches, and what does not fit, in the buffer or on the
// disk, is dropped with one warning. A file that cannot be used is moved aside or
// done without. Only the scale overrides are written before the call returns: an
// operator was told that they hold.
package journal

import (
	"context"
	"database/sql"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Options tells how much a journal keeps. The zero value is valid.
type Options struct {
	Keep    time.Duration // default 30 days
	MaxRows int           // of events, and of samples; default 100,000
	Buffer  int           // what may wait to be written; default 4096
	Log     *slog.Logger  // default: discard
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
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Event is something that happened to a site or one of its workers.
type Event struct {
	Time   time.Time // zero: when it was recorded
	Site   string
	Worker string
	PID    int
	Kind   string // "worker exited", "site reloaded", …
	Reason string
	Detail string // text or JSON
}

// Sample is the memory of a site's processes at one moment, in bytes.
type Sample struct {
	Time          time.Time // zero: when it was recorded
	Site          string
	Workers       int
	PSS, USS, RSS int64
	ZygotePSS     int64
}

// Journal is an open journal. Its methods may be called from any goroutine.
type Journal struct {
	options Options
	db      *sql.DB
	queue   chan entry
	stop    chan struct{}
	stopped chan struct{}
	once    sync.Once
	dropped atomic.Int64 // since the last batch that was written
}

// Open opens the journal at path or makes one. A file that is damaged or of a
// newer version is moved aside; where no file can be used, the journal lives in
// memory. Both are a warning in the log, not an error.
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
		stopped: make(chan struct{}),
	}
	go j.write()
	return j, nil
}

// Close writes what is buffered and closes the file. What is recorded later is
// dropped. It may be called more than once.
func (j *Journal) Close() error {
	j.once.Do(func() { close(j.stop) })
	<-j.stopped
	return j.db.Close()
}

// Record keeps an event. It never waits and never fails.
func (j *Journal) Record(e Event) {
	j.enqueue(entry{
		query: "INSERT INTO event (time_us, site, worker, pid, kind, reason, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
		args:  []any{micros(e.Time), e.Site, e.Worker, e.PID, e.Kind, e.Reason, e.Detail},
	})
}

// RecordSample keeps a memory sample. It never waits and never fails.
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

// drop counts what was lost and warns about the first of a row.
func (j *Journal) drop(n int, reason any) {
	if j.dropped.Add(int64(n)) == int64(n) {
		j.options.Log.Warn("journal drops events", "error", reason)
	}
}

// Flush returns when all that was recorded before is written or dropped.
func (j *Journal) Flush(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case j.queue <- entry{done: done}:
	case <-j.stopped:
		return sql.ErrConnDone
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-done:
		return nil
	case <-j.stopped:
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
