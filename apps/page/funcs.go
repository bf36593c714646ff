package page

import (
	"fmt"
	"html/template"
	"time"

	"github.com/multisite/multisite/apps/db"
)

// funcs returns the functions of every template.
func (p *Pages) funcs() template.FuncMap {
	return template.FuncMap{
		"date":    func(t db.Time) string { return t.In(p.opts.Zone).Format("2 January 2006") },
		"moment":  func(t db.Time) string { return t.In(p.opts.Zone).Format("2 January 2006, 15:04") },
		"iso":     func(t db.Time) string { return t.In(p.opts.Zone).Format(time.RFC3339) },
		"counted": counted,
	}
}

// counted returns a number with its noun: "1 vote", "2 votes".
func counted(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
