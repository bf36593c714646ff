package fastloop

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/multisite/multisite/supervisor/site"
	"github.com/multisite/multisite/supervisor/spool"
)

// MaxUnsent is how much of an answer the kernel holds that it has not sent yet, of one that
// goes through a spool. What waits for a slow client beyond that waits in the spool.
const MaxUnsent = 128 << 10

// Pump moves the body of an answer from the worker to a spool, then releases the worker.
// what names the request. The error is spool.ErrCancelled if the rest is not wanted.
func Pump(store *spool.Store, to io.Writer, body io.ReadCloser, claim site.Claim, log *slog.Logger, what string) error {
	_, err := store.Copy(to, body)
	unwanted := errors.Is(err, spool.ErrCancelled) || errors.Is(err, context.Canceled)
	if closeErr := body.Close(); err == nil || unwanted {
		err = closeErr // of two errors the first says more
	}
	switch {
	case err == nil:
		claim.Release()
	case errors.Is(err, context.DeadlineExceeded):
		logCut(log, claim.Worker(), what, err)
		claim.Abandon()
		claim.Release()
	default:
		logCut(log, claim.Worker(), what, err)
		claim.Fail(err)
	}
	if err == nil && unwanted {
		return spool.ErrCancelled
	}
	return err
}

// logCut reports an answer that ends before its end.
func logCut(log *slog.Logger, worker, what string, err error) {
	if errors.Is(err, context.DeadlineExceeded) {
		log.Warn("answer cut", "limit", "request_timeout", "worker", worker, "request", what)
		return
	}
	log.Warn("answer cut", "worker", worker, "request", what, "error", err)
}
