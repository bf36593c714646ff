package config

import (
	"fmt"
	"slices"
)

// AccessLog says how requests are written to the access log of a site.
type AccessLog string

// The formats of access logs.
const (
	AccessCombined AccessLog = "combined" // of Apache, and more at the end of each line
	AccessJSON     AccessLog = "json"
	AccessOff      AccessLog = "off"
)

func (d *siteDraft) readAccessLog() {
	var format string
	if !d.table.String("access_log", &format) {
		return
	}
	if d.AccessLog = AccessLog(format); !slices.Contains([]AccessLog{AccessCombined, AccessJSON, AccessOff}, d.AccessLog) {
		d.table.Problem("access_log", fmt.Sprintf("%q is not a format of access logs", format), `write "combined", "json" or "off"`)
	}
}
