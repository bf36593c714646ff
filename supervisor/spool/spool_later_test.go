package spool

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
)

// TestSpool_HasAFileLater: the worker is not held by a client that takes nothing, once
// there can be a file again.
func TestSpool_HasAFileLater(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "later")
	synctest.Test(t, func(t *testing.T) {
		s := NewStore(dir).NewSpool()
		written := make(chan error)
		go func() {
			_, err := s.Write(make([]byte, 3*AnswerMemory))
			written <- err
		}()
		synctest.Wait() // it waits for its client
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
		s.Close()
	})
}
