// Package errorpage has the pages that the front door itself answers with. They show a
// visitor no path, process or error of the server.
package errorpage

import (
	"fmt"
	"net/http"
)

// AllowedMethods is the Allow header of OPTIONS *, which is about no site, and of 405.
const AllowedMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

const page = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>%[1]d %[2]s</title>
<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:18vh auto;padding:0 1.5rem}h1{font-size:1.5rem}</style>
</head><body><h1>%[1]d %[2]s</h1><p>%[3]s</p></body></html>
`

// sentences explain each status that the front door itself answers with.
var sentences = map[int]string{
	http.StatusBadRequest:                  "The request could not be understood.",
	http.StatusUnauthorized:                "This page needs a name and a password.",
	http.StatusForbidden:                   "This page is not for you.",
	http.StatusNotFound:                    "There is no such page.",
	http.StatusMethodNotAllowed:            "Requests of this kind are not served here.",
	http.StatusRequestTimeout:              "The request took too long to arrive.",
	http.StatusRequestEntityTooLarge:       "What was sent is larger than this site accepts.",
	http.StatusMisdirectedRequest:          "No site of this name is served here.",
	http.StatusTooManyRequests:             "There are too many requests from your address. Please try again in a moment.",
	http.StatusRequestHeaderFieldsTooLarge: "The header of the request is larger than this server accepts.",
	http.StatusInternalServerError:         "The server could not answer this request.",
	http.StatusNotImplemented:              "Requests of this kind are not understood here.",
	http.StatusHTTPVersionNotSupported:     "Requests of this version of HTTP are not understood here.",
	http.StatusBadGateway:                  "The site broke off while it answered. Please try again.",
	http.StatusServiceUnavailable:          "The site cannot answer just now. Please try again in a moment.",
	http.StatusGatewayTimeout:              "The site took too long to answer.",
}

// Body returns the page of a status.
func Body(status int) []byte {
	return fmt.Appendf(nil, page, status, http.StatusText(status), sentences[status])
}

// Fields returns the header of the page of a status.
func Fields(status int) [][2]string {
	fields := [][2]string{
		{"Content-Type", "text/html; charset=utf-8"}, {"Cache-Control", "no-store"}, {"X-Content-Type-Options", "nosniff"},
	}
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		fields = append(fields, [2]string{"Retry-After", "5"})
	}
	return fields
}
