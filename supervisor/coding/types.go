package coding

import "strings"

// Pays reports whether content of this type becomes smaller by encoding: not images,
// films and archives, which are compressed already.
func Pays(contentType string) bool {
	t := bare(contentType)
	if t == "text/event-stream" { // each event would wait for the next
		return false
	}
	return strings.HasPrefix(t, "text/") || strings.HasSuffix(t, "+json") || strings.HasSuffix(t, "+xml") || pays[t]
}

var pays = map[string]bool{
	"application/javascript": true, "application/x-javascript": true, "application/ecmascript": true, "application/json": true,
	"application/ld+json": true, "application/xml": true, "application/graphql": true, "application/wasm": true,
	"application/rtf": true, "application/x-ndjson": true, "application/geo+json": true, "application/sql": true,
	"application/vnd.ms-fontobject": true, "application/toml": true, "application/yaml": true, "application/x-sh": true,
	"font/ttf": true, "font/otf": true, "font/collection": true,
	"image/bmp": true, "image/vnd.microsoft.icon": true, "image/x-icon": true,
}

// bare returns a media type without parameters, in lower case.
func bare(contentType string) string {
	t, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.Trim(t, " \t"))
}
