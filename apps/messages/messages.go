// Package messages shows a message to a visitor once, on the next page that they see, even
// after a redirect.
package messages

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/multisite/multisite/apps/app"
	"github.com/multisite/multisite/apps/page"
	"github.com/multisite/multisite/apps/sessions"
)

const key = "messages" // of the session

// App describes the app to a site.
func App() app.App { return app.App{Name: "messages", Needs: []string{"sessions"}} }

// Success adds a message that something was done.
func Success(ctx context.Context, format string, args ...any) { add(ctx, "success", format, args) }

// Error adds a message that something could not be done.
func Error(ctx context.Context, format string, args ...any) { add(ctx, "error", format, args) }

// Pop returns the messages that the visitor has not seen, and deletes them.
func Pop(ctx context.Context) []page.Message {
	session := sessions.From(ctx)
	stored := session.Get(key)
	if stored == "" {
		return nil
	}
	session.Pop(key)
	var all []page.Message
	if json.Unmarshal([]byte(stored), &all) != nil {
		return nil // another version has written it; the page is worth more than the messages
	}
	return all
}

func add(ctx context.Context, level, format string, args []any) {
	all := append(Pop(ctx), page.Message{Level: level, Text: fmt.Sprintf(format, args...)})
	stored, err := json.Marshal(all)
	if err != nil {
		return // strings can always be marshaled
	}
	sessions.From(ctx).Put(key, string(stored))
}
