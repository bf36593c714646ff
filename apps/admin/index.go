package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
)

const recent = 12 // log entries on the first page

type indexGroup struct {
	App    string
	Models []indexModel
}

type indexModel struct {
	target
	Count int64
}

type indexEntry struct {
	entry
	Path string // "" if the row was deleted
}

func (v views) index(w http.ResponseWriter, r *http.Request) error {
	var data struct {
		Groups []indexGroup
		Recent []indexEntry
	}
	seen := v.targets(r)
	// Models that only superusers see come last.
	slices.SortStableFunc(seen, func(a, b target) int { return cmp.Compare(rank(a), rank(b)) })
	for _, t := range seen {
		if len(data.Groups) == 0 || data.Groups[len(data.Groups)-1].App != t.App {
			data.Groups = append(data.Groups, indexGroup{App: t.App})
		}
		m := indexModel{target: t}
		if err := v.env.DB.QueryRowContext(r.Context(), "SELECT count(*) FROM "+t.Model.Table).Scan(&m.Count); err != nil {
			return fmt.Errorf("count %s: %w", t.Model.Plural, err)
		}
		group := &data.Groups[len(data.Groups)-1]
		group.Models = append(group.Models, m)
	}
	entries, err := readLog(r.Context(), v.env.DB, recent*5, "1")
	if err != nil {
		return err
	}
	for _, e := range entries {
		at := slices.IndexFunc(seen, func(t target) bool { return t.App == e.App && t.Model.Name == e.Model })
		if at < 0 || len(data.Recent) == recent {
			continue
		}
		found := indexEntry{entry: e}
		if e.Action != "deleted" {
			found.Path = seen[at].Path(e.ID, "")
		}
		data.Recent = append(data.Recent, found)
	}
	return v.view.Render(w, r, http.StatusOK, "index.html", data)
}

func rank(t target) int {
	if t.Model.Superuser {
		return 1
	}
	return 0
}
