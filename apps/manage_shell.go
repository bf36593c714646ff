package apps

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"strings"
	"text/tabwriter"
)

// dbShell runs SQL statements. A statement ends with a semicolon at the end of a line. At
// a terminal a statement that fails does not end the shell.
func dbShell(ctx context.Context, c *command, _ *flag.FlagSet) error {
	_, onTerminal := terminal(c.stdin)
	prompt := func(text string) {
		if onTerminal {
			_, _ = fmt.Fprint(c.stderr, text)
		}
	}
	prompt(c.settings.Database + "\nA statement ends with a semicolon. .tables lists the tables, .quit leaves.\nsql> ")
	lines := bufio.NewScanner(c.stdin)
	lines.Buffer(nil, 16<<20) // longer lines are an error
	for pending := ""; lines.Scan(); {
		statement, complete := nextStatement(pending, lines.Text())
		if statement == ".quit" {
			return nil
		}
		if !complete {
			pending = statement
			prompt("...> ")
			continue
		}
		pending = ""
		if err := c.runSQL(ctx, statement); err != nil {
			if !onTerminal {
				return err
			}
			printError(c.stderr, err.Error(), "")
		}
		prompt("sql> ")
	}
	return lines.Err()
}

// nextStatement adds a line to the statement that has begun, and reports whether it is
// complete.
func nextStatement(pending, line string) (statement string, complete bool) {
	if pending == "" {
		line = strings.TrimSpace(line)
	}
	if pending == "" && line == ".tables" {
		return "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name;", true
	}
	if pending != "" {
		line = pending + "\n" + line
	}
	return line, line == "" || strings.HasSuffix(strings.TrimSpace(line), ";")
}

// runSQL runs a statement and prints its rows.
func (c *command) runSQL(ctx context.Context, statement string) error {
	if statement == "" {
		return nil
	}
	columns, rows, err := c.db.Run(ctx, statement)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	if len(columns) > 0 {
		_, _ = fmt.Fprintln(table, strings.Join(columns, "\t"))
	}
	for _, row := range rows {
		_, _ = fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	return table.Flush()
}
