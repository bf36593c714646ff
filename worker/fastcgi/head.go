package fastcgi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/multisite/multisite/worker/wire"
)

// parseHead fills resp from the header lines of a CGI answer.
func parseHead(resp *http.Response, head string) error {
	lines := strings.Count(head, "\n")
	resp.Header = make(http.Header, lines)
	values := make([]string, 0, lines) // one array for all headers, as nearly each has one value
	status, err := eachField(head, func(name, value string) {
		if before := resp.Header[name]; before != nil {
			resp.Header[name] = append(before, value)
			return
		}
		n := len(values)
		values = append(values, value)
		resp.Header[name] = values[n : n+1 : n+1]
	})
	if err != nil {
		return err
	}
	resp.StatusCode, resp.Status, err = statusOf(status, resp.Header.Get("Location") != "")
	if err == nil {
		setLength(resp)
	}
	return err
}

// eachField calls f for every header line of a CGI answer (RFC 3875, section 6.3) except
// Status, whose value it returns; "": there is none.
func eachField(head string, f func(name, value string)) (status string, err error) {
	present := false
	err = wire.EachField(head, func(name, value string) {
		if name == "Status" {
			status, present = value, true
			return
		}
		f(name, value)
	})
	switch {
	case err != nil:
		return "", malformed("%v", err)
	case present && status == "":
		return "", malformed("an empty status")
	}
	return status, nil
}

// statusOf parses the value of Status. An absent one stands for 302 where there is a
// Location, which moved reports, and otherwise for 200.
func statusOf(status string, moved bool) (int, string, error) {
	switch {
	case status == "" && moved:
		status = "302 Found"
	case status == "":
		status = "200 OK"
	}
	code, _, _ := strings.Cut(status, " ")
	n, err := strconv.Atoi(code)
	if err != nil || len(code) != 3 || n < 200 {
		return 0, "", malformed("status %q", cut(status))
	}
	return n, status, nil
}

// setLength takes over Content-Length, or drops one that is not a number or contradicts
// another: the stream says how long the body is.
func setLength(resp *http.Response) {
	v, ok := resp.Header["Content-Length"]
	if !ok {
		return
	}
	v = slices.Compact(v)
	length, err := strconv.ParseUint(v[0], 10, 63)
	if err != nil || len(v) > 1 {
		delete(resp.Header, "Content-Length")
		return
	}
	resp.Header["Content-Length"] = v
	resp.ContentLength = int64(length)
}

// cut keeps an error message short.
func cut(s string) string { return s[:min(len(s), 60)] }
