// Package messages tells a visitor something once, on the next page they see,
// even after a redirect.
package messages

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/multisite/multisite/apps/app"
	"github.com/multisite/multisite/apps/page"
	"github.com/multisite/multisite/apps/sessions"
)

const key = "messages"

// App describes the app to a site.
func App() app.App { return app.App{Name: "messages", Needs: []string{"sessions"}} }

// Success says that what the visitor asked for is done.
func Success(ctx context.Context, format string, args ...any) { add(ctx, "success", format, args) }

// Error says that it is not.
func Error(ctx context.Context, format string, args ...any) { add(ctx, "error", format, args) }

// Pop returns what the visitor has not been told yet.
func Pop(ctx context.Context) []page.Message {
	session := sessions.From(ctx)
	stored := session.Get(key)
	if stored == "" {
		return nil
	}
	session.Pop(key)
	var all []page.Message
	if json.Unmarshal([]byte(stored), &all) != nil {
		return nil // written by another release: nothing worth failing a page for
	}
	return all
}

func add(ctx context.Context, level, format string, args []any) {
	all := append(Pop(ctx), page.Message{Level: level, Text: fmt.Sprintf(format, args...)})
	stored, err := json.Marshal(all)
	if err != nil {
		return // strings always marshal
	}
	sessions.From(ctx).Put(key, string(stored))
}
