package static

import (
	"io"
	"net/http"
	"path"
	"strings"
)

// contentType returns the type of a file: by its name, which is the same on every machine,
// or else by its first bytes.
func contentType(f io.ReaderAt, name string) string {
	if t := types[strings.ToLower(strings.TrimPrefix(path.Ext(name), "."))]; t != "" {
		return withCharset(t)
	}
	var start [512]byte
	n, _ := f.ReadAt(start[:], 0) // what cannot be read has the type of an empty file
	return http.DetectContentType(start[:n])
}

// withCharset adds the encoding of text.
func withCharset(t string) string {
	if strings.HasPrefix(t, "text/") {
		return t + "; charset=utf-8"
	}
	return t
}

// types are the media types of names by their extension.
var types = map[string]string{
	"html": "text/html", "htm": "text/html", "css": "text/css", "js": "text/javascript", "mjs": "text/javascript",
	"txt": "text/plain", "text": "text/plain", "log": "text/plain", "md": "text/markdown", "csv": "text/csv", "tsv": "text/tab-separated-values",
	"xml": "text/xml", "vtt": "text/vtt", "ics": "text/calendar", "vcf": "text/vcard", "po": "text/x-gettext-translation", "htc": "text/x-component",
	"json": "application/json", "map": "application/json", "jsonld": "application/ld+json", "geojson": "application/geo+json",
	"webmanifest": "application/manifest+json", "ndjson": "application/x-ndjson", "yaml": "application/yaml", "yml": "application/yaml", "toml": "application/toml",
	"xhtml": "application/xhtml+xml", "rss": "application/rss+xml", "atom": "application/atom+xml", "xsl": "application/xml", "xsd": "application/xml",
	"kml": "application/vnd.google-earth.kml+xml", "gpx": "application/gpx+xml", "wasm": "application/wasm", "sql": "application/sql",
	"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp", "avif": "image/avif", "jxl": "image/jxl",
	"heic": "image/heic", "heif": "image/heif", "svg": "image/svg+xml", "ico": "image/vnd.microsoft.icon", "bmp": "image/bmp", "tif": "image/tiff", "tiff": "image/tiff",
	"woff": "font/woff", "woff2": "font/woff2", "ttf": "font/ttf", "otf": "font/otf", "ttc": "font/collection", "eot": "application/vnd.ms-fontobject",
	"mp3": "audio/mpeg", "m4a": "audio/mp4", "aac": "audio/aac", "ogg": "audio/ogg", "oga": "audio/ogg", "opus": "audio/ogg", "flac": "audio/flac",
	"wav": "audio/wav", "weba": "audio/webm", "mid": "audio/midi", "midi": "audio/midi",
	"mp4": "video/mp4", "m4v": "video/mp4", "webm": "video/webm", "ogv": "video/ogg", "mov": "video/quicktime", "avi": "video/x-msvideo", "mpeg": "video/mpeg",
	"mpg": "video/mpeg", "mkv": "video/x-matroska", "wmv": "video/x-ms-wmv", "flv": "video/x-flv", "3gp": "video/3gpp", "ts": "video/mp2t",
	"m3u8": "application/vnd.apple.mpegurl", "mpd": "application/dash+xml",
	"pdf": "application/pdf", "rtf": "application/rtf", "epub": "application/epub+zip", "ps": "application/postscript", "eps": "application/postscript",
	"doc": "application/msword", "xls": "application/vnd.ms-excel", "ppt": "application/vnd.ms-powerpoint",
	"docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	"pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
	"odt":  "application/vnd.oasis.opendocument.text", "ods": "application/vnd.oasis.opendocument.spreadsheet", "odp": "application/vnd.oasis.opendocument.presentation",
	"zip": "application/zip", "gz": "application/gzip", "tgz": "application/gzip", "bz2": "application/x-bzip2", "xz": "application/x-xz", "zst": "application/zstd",
	"br": "application/octet-stream", "tar": "application/x-tar", "7z": "application/x-7z-compressed", "rar": "application/vnd.rar", "jar": "application/java-archive",
	"bin": "application/octet-stream", "exe": "application/octet-stream", "dmg": "application/octet-stream", "iso": "application/octet-stream",
	"deb": "application/vnd.debian.binary-package", "apk": "application/vnd.android.package-archive", "msi": "application/x-msi", "whl": "application/zip",
	"swf": "application/x-shockwave-flash", "p12": "application/x-pkcs12", "crt": "application/x-x509-ca-cert", "pem": "application/x-pem-file", "sh": "application/x-sh",
}
