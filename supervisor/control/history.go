package control

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// History is what was recorded of sites: sizes in bytes, durations in seconds.
type History struct {
	Points []Point `json:"points"` // oldest first
	Events []Event `json:"events"` // newest first
}

// Point is what a site was in a minute, or an hour where a day has passed since.
type Point struct {
	Site     string    `json:"site"`
	Time     time.Time `json:"time"`
	Span     float64   `json:"span_seconds"`
	Workers  int       `json:"workers"`
	PSS      int64     `json:"pss"`
	Requests int64     `json:"requests"`
	Errors   int64     `json:"errors"`
	P50      float64   `json:"p50_seconds"`
	P99      float64   `json:"p99_seconds"`
}

// Event is something that happened to a site or one of its workers.
type Event struct {
	Site   string    `json:"site"`
	Time   time.Time `json:"time"`
	Worker string    `json:"worker"`
	Kind   string    `json:"kind"`
	Reason string    `json:"reason"`
}

// History returns what was recorded of a site, of all for "".
func (c *Client) History(ctx context.Context, site string, since time.Time) (h History, err error) {
	query := url.Values{"site": {site}, "since": {since.Format(time.RFC3339)}}
	err = c.call(ctx, http.MethodGet, "/v1/history?"+query.Encode(), nil, &h)
	return h, err
}

func serveHistory(s Supervisor, w http.ResponseWriter, r *http.Request) {
	since, err := time.Parse(time.RFC3339, r.FormValue("since"))
	if err != nil {
		reply(w, nil, &Error{Message: "history: " + err.Error(), Usage: true})
		return
	}
	h, err := s.History(r.Context(), r.FormValue("site"), since)
	reply(w, h, err)
}
