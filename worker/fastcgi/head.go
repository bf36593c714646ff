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
	values := make([]string, 0, lines) // of all headers: nearly every one has one value
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

// eachField calls f for every header line of a CGI answer (RFC 3875, section 6.3)
// but Status, whose value it returns: "" when there is none.
func eachField(head string, f func(name, value string)) (status string, err error) {
	said := false
	err = wire.EachField(head, func(name, value string) {
		if name == "Status" {
			status, said = value, true
			return
		}
		f(name, value)
	})
	switch {
	case err != nil:
		return "", malformed("%v", err)
	case said && status == "":
		return "", malformed("an empty status")
	}
	return status, nil
}

// statusOf reads the value of Status: 200 when absent, and 302 when there is only
// a Location.
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

// setLength drops a Content-Length that is no number or said twice: the length
// is known from the stream.
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
