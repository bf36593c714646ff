package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/multisite/multisite/apps/db"
	"github.com/multisite/multisite/apps/model"
	"github.com/multisite/multisite/apps/page"
)

const perPage = 50 // rows

// listQuery is what the URL of a list asks for.
type listQuery struct {
	Search  string            // words that must all occur
	Sort    string            // name of a field, with "-" before it for descending order; "" is the model's own order
	Page    int               // the first is 1
	Filters map[string]string // name of a field of kind One to the id that it must have
}

// column is the header of a column of a list.
type column struct {
	Label string
	Sort  string // URL query that sorts by it
	Order string // the aria-sort attribute
}

// listRow is one row of a list.
type listRow struct {
	ID    int64
	Title string
	Cells []string
}

// listData is the data of list.html.
type listData struct {
	target
	listQuery
	Columns []column
	Rows    []listRow
	Total   int64 // rows on all pages
	Pages   int
	Prev    string // URL query of the page before; "" if there is none
	Next    string // the same of the next page
	AddPath string // URL of the form to add a row; "" if none can be added
	Filter  string // the filter in words
}

func (v views) list(w http.ResponseWriter, r *http.Request, t target) error {
	q, err := readListQuery(r, t.Model)
	if err != nil {
		return err
	}
	data := listData{target: t, listQuery: q}
	if err := v.readList(r.Context(), &data); err != nil {
		return err
	}
	data.Pages = int((data.Total + perPage - 1) / perPage)
	if q.Page > max(data.Pages, 1) {
		return page.ErrNotFound
	}
	if q.Page > 1 {
		data.Prev = q.link(func(q *listQuery) { q.Page-- })
	}
	if q.Page < data.Pages {
		data.Next = q.link(func(q *listQuery) { q.Page++ })
	}
	for _, name := range t.Model.List {
		data.Columns = append(data.Columns, q.column(t.Model, name))
	}
	if !t.Model.ReadOnly {
		data.AddPath = t.Base + "add"
		if filters := q.filterValues().Encode(); filters != "" {
			data.AddPath += "?" + filters
		}
	}
	return v.view.Render(w, r, http.StatusOK, "list.html", data)
}

func readListQuery(r *http.Request, m model.Model) (listQuery, error) {
	asked := r.URL.Query()
	q := listQuery{Search: strings.TrimSpace(asked.Get("q")), Sort: asked.Get("sort"), Page: 1, Filters: map[string]string{}}
	if !slices.Contains(m.List, strings.TrimPrefix(q.Sort, "-")) {
		q.Sort = ""
	}
	if number := asked.Get("page"); number != "" {
		var err error
		if q.Page, err = strconv.Atoi(number); err != nil || q.Page < 1 || q.Page > 10_000_000 {
			return q, page.ErrNotFound
		}
	}
	for _, f := range m.Fields {
		if value := asked.Get(f.Name); f.Kind == model.One && value != "" {
			q.Filters[f.Name] = value
		}
	}
	return q, nil
}

// readList sets Total, Rows and Filter.
func (v views) readList(ctx context.Context, data *listData) error {
	m := data.Model
	where, args := data.where(m)
	err := v.env.DB.QueryRowContext(ctx, "SELECT count(*) FROM "+m.Table+where, args...).Scan(&data.Total)
	if err != nil {
		return fmt.Errorf("count %s: %w", m.Plural, err)
	}
	fields := make([]model.Field, len(m.List))
	columns := []string{"id", m.Title}
	for i, name := range m.List {
		fields[i], _ = m.Field(name)
		columns = append(columns, shownSQL(m, fields[i]))
	}
	scan := func(row func(...any) error) (listRow, error) {
		var read listRow
		values := make([]any, len(fields))
		into := []any{&read.ID, &read.Title}
		for i := range values {
			into = append(into, &values[i])
		}
		err := row(into...)
		for i, f := range fields {
			read.Cells = append(read.Cells, displayValue(f, values[i], v.env.Zone))
		}
		return read, err
	}
	query := fmt.Sprintf("SELECT %s FROM %s%s ORDER BY %s LIMIT ? OFFSET ?",
		strings.Join(columns, ", "), m.Table, where, data.order(m))
	data.Rows, err = db.Collect(ctx, v.env.DB, scan, query, append(args, perPage, (data.Page-1)*perPage)...)
	if err != nil {
		return fmt.Errorf("list %s: %w", m.Plural, err)
	}
	return v.nameFilter(ctx, data)
}

// nameFilter sets Filter.
func (v views) nameFilter(ctx context.Context, data *listData) error {
	for name, id := range data.Filters {
		f, _ := data.Model.Field(name)
		var title string
		query := fmt.Sprintf("SELECT coalesce((SELECT %s FROM %s WHERE id = ?), '')", f.Refers.Title, f.Refers.Table)
		if err := v.env.DB.QueryRowContext(ctx, query, id).Scan(&title); err != nil {
			return fmt.Errorf("read filter: %w", err)
		}
		data.Filter = f.Label + ": " + title
	}
	return nil
}

// where returns an SQL condition: every word occurs in some searched column, and every
// filter matches.
func (q listQuery) where(m model.Model) (string, []any) {
	var all []string
	var args []any
	for _, word := range strings.Fields(q.Search) {
		if len(all) == 10 || len(m.Search) == 0 {
			break
		}
		var any []string
		for _, column := range m.Search {
			any = append(any, column+` LIKE ? ESCAPE '\'`)
			args = append(args, "%"+strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(word)+"%")
		}
		all = append(all, "("+strings.Join(any, " OR ")+")")
	}
	for _, f := range m.Fields {
		if id, ok := q.Filters[f.Name]; ok {
			all = append(all, f.Name+" = ?")
			args = append(args, id)
		}
	}
	if len(all) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(all, " AND "), args
}

// order returns the SQL order. It names a column by its number in the query, which
// sorts a reference by the title of its row and not by an id.
func (q listQuery) order(m model.Model) string {
	name, down := strings.CutPrefix(q.Sort, "-")
	at := slices.Index(m.List, name)
	if at < 0 {
		return m.Order
	}
	direction := "ASC"
	if down {
		direction = "DESC"
	}
	return fmt.Sprintf("%d COLLATE NOCASE %s, id %s", at+3, direction, direction)
}

func (q listQuery) column(m model.Model, name string) column {
	f, _ := m.Field(name)
	c := column{Label: f.Label, Order: "none"}
	next := name
	switch q.Sort {
	case name:
		c.Order, next = "ascending", "-"+name
	case "-" + name:
		c.Order = "descending"
	}
	c.Sort = q.link(func(q *listQuery) { q.Sort, q.Page = next, 1 })
	return c
}

// link returns the URL query of the same list after a change.
func (q listQuery) link(change func(*listQuery)) string {
	change(&q)
	values := q.filterValues()
	if q.Search != "" {
		values.Set("q", q.Search)
	}
	if q.Sort != "" {
		values.Set("sort", q.Sort)
	}
	if q.Page > 1 {
		values.Set("page", strconv.Itoa(q.Page))
	}
	return "?" + values.Encode()
}

func (q listQuery) filterValues() url.Values {
	values := url.Values{}
	for name, id := range q.Filters {
		values.Set(name, id)
	}
	return values
}
