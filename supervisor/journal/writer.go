package journal

import (
	"fmt"
	"time"
)

const (
	maxBatch = 512
	// pruneEvery is the number of rows after which prune runs, so a table exceeds its
	// limit by no more than that.
	pruneEvery = 1000
)

// entry is either a row to write or a marker in the queue.
type entry struct {
	query string // "" for a marker
	args  []any
	done  chan struct{} // of a marker; closed when every row before it was written or dropped
}

// write writes the queue until stop is closed and the queue is empty. It is the only
// writer.
func (j *Journal) write() {
	defer close(j.done)
	sincePrune := pruneEvery // the first batch prunes the rows of an earlier run
	var rolledUp time.Time
	for {
		batch := j.nextBatch()
		if len(batch) == 0 {
			return
		}
		if j.commit(batch) {
			sincePrune += len(batch)
		}
		if sincePrune >= pruneEvery {
			sincePrune = 0
			j.prune()
		}
		if now := j.options.Now(); now.Truncate(time.Hour) != rolledUp {
			rolledUp = now.Truncate(time.Hour)
			if err := j.rollUp(now); err != nil {
				j.options.Log.Warn("roll up history", "error", err)
			}
		}
		for _, e := range batch {
			if e.done != nil {
				close(e.done)
			}
		}
	}
}

// nextBatch waits for one entry and returns it with all that are queued behind it. It
// returns nothing when the journal is closed and the queue is empty.
func (j *Journal) nextBatch() []entry {
	var batch []entry
	select {
	case e := <-j.queue:
		batch = append(batch, e)
	case <-j.stop:
	}
	for len(batch) < maxBatch {
		select {
		case e := <-j.queue:
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
}

// commit writes the batch in one transaction and reports whether it is on disk.
func (j *Journal) commit(batch []entry) bool {
	rows, err := j.insert(batch)
	if err != nil {
		j.drop(rows, err)
		return false
	}
	if rows == 0 {
		return true
	}
	if n := j.dropped.Swap(0); n > 0 {
		j.options.Log.Info("journal writes again", "dropped", n)
	}
	return true
}

// insert writes the rows of a batch in one transaction and returns how many they are.
func (j *Journal) insert(batch []entry) (rows int, err error) {
	for _, e := range batch {
		if e.query != "" {
			rows++
		}
	}
	if rows == 0 {
		return 0, nil
	}
	tx, err := j.db.Begin()
	if err != nil {
		return rows, fmt.Errorf("write journal: %w", err)
	}
	defer tx.Rollback() // has no effect after Commit
	for _, e := range batch {
		if e.query == "" {
			continue
		}
		if _, err := tx.Exec(e.query, e.args...); err != nil {
			return rows, fmt.Errorf("write journal: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return rows, fmt.Errorf("write journal: %w", err)
	}
	return rows, nil
}

// prune deletes rows that are too old or too many. Ids increase with time.
func (j *Journal) prune() {
	oldest := time.Now().Add(-j.options.Keep).UnixMicro()
	for _, table := range []string{"event", "sample"} {
		_, err := j.db.Exec("DELETE FROM "+table+" WHERE time_us < ?1 OR id <= (SELECT max(id) FROM "+table+") - ?2", oldest, j.options.MaxRows)
		if err != nil {
			j.options.Log.Warn("prune journal", "table", table, "error", err)
		}
	}
	if _, err := j.db.Exec("DELETE FROM warmup WHERE time_us < ?", oldest); err != nil {
		j.options.Log.Warn("prune journal", "table", "warmup", "error", err)
	}
}
