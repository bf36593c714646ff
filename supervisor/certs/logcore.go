package certs

import (
	"context"
	"log/slog"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// logCore passes on what certmagic logs. That is a lot, so each level is one lower: what
// has failed is an Event, too.
type logCore struct {
	log    *slog.Logger
	fields []zapcore.Field
}

var levels = map[zapcore.Level]slog.Level{zapcore.WarnLevel: slog.LevelInfo, zapcore.ErrorLevel: slog.LevelWarn}

func (c *logCore) logger() *zap.Logger { return zap.New(c) }

func (c *logCore) level(l zapcore.Level) slog.Level {
	if level, ok := levels[l]; ok {
		return level
	}
	if l > zapcore.ErrorLevel {
		return slog.LevelError
	}
	return slog.LevelDebug
}

// Enabled reports whether what has a level is logged.
func (c *logCore) Enabled(l zapcore.Level) bool {
	return c.log.Enabled(context.Background(), c.level(l))
}

// With returns a core that adds fields.
func (c *logCore) With(fields []zapcore.Field) zapcore.Core {
	return &logCore{c.log, append(c.fields[:len(c.fields):len(c.fields)], fields...)}
}

// Check adds the core to an entry that it logs.
func (c *logCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

// Write logs an entry.
func (c *logCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	encoder := zapcore.NewMapObjectEncoder()
	for _, f := range append(c.fields[:len(c.fields):len(c.fields)], fields...) {
		f.AddTo(encoder)
	}
	var attrs []any
	for key, value := range encoder.Fields {
		attrs = append(attrs, key, value)
	}
	c.log.Log(context.Background(), c.level(e.Level), "acme: "+e.Message, attrs...)
	return nil
}

// Sync does nothing: nothing is kept back.
func (c *logCore) Sync() error { return nil }
