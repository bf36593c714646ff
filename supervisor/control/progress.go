package control

import (
	"context"
	"net/http"
)

// Progress is what a command that takes long may be waiting for.
type Progress struct {
	Sites []SiteProgress `json:"sites"`
}

// SiteProgress is how far a site is.
type SiteProgress struct {
	Name    string  `json:"name"`
	State   string  `json:"state"` // as in status
	Ready   int     `json:"ready"`
	Desired int     `json:"desired"`
	Problem string  `json:"problem,omitempty"`       // why it does not start, in one line
	For     string  `json:"for,omitempty"`           // what is waited for: the name of the site until its workers are ready, "2 of the requests of shop", …; "": nothing
	Seconds float64 `json:"seconds,omitempty"`       // how long that takes already
	Limit   float64 `json:"limit_seconds,omitempty"` // how long it may take
	Left    float64 `json:"left_seconds,omitempty"`  // how long it may still take, where Seconds is not known
}

// Progress returns how far all sites are.
func (c *Client) Progress(ctx context.Context) (Progress, error) {
	var p Progress
	err := c.call(ctx, http.MethodGet, "/v1/progress", nil, &p)
	return p, err
}
