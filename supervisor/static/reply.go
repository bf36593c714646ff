package static

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/multisite/multisite/supervisor/coding"
	"github.com/multisite/multisite/worker/wire"
)

// Reply is the answer to a request for a file.
type Reply struct {
	wire.Answer
	Offset, Length int64 // what of the file follows the head; Length 0: nothing
}

// conditions are the headers of a request that change the answer.
var conditions = [...]string{"Range", "If-None-Match", "If-Modified-Since", "If-Range", "If-Match", "If-Unmodified-Since"}

// ReplyTo returns the answer to a GET or HEAD with these header fields. ok is false for one
// that takes several parts of the file.
func (f *File) ReplyTo(method string, fields [][2]string) (r Reply, ok bool) {
	var h http.Header
	for _, field := range fields {
		if name := condition(field[0]); name != "" {
			if h == nil {
				h = http.Header{}
			}
			h.Add(name, field[1])
		}
	}
	if h == nil {
		r = f.whole
		if method == http.MethodHead {
			r.Length = 0
		}
		return r, true
	}
	BoundRanges(method, h, f.Size)
	if strings.Contains(h.Get("Range"), ",") {
		return r, false
	}
	return f.replyTo(method, h), true
}

// condition returns the canonical form of a name in conditions, or "".
func condition(name string) string {
	for _, c := range conditions {
		if len(c) == len(name) && strings.EqualFold(c, name) {
			return c
		}
	}
	return ""
}

// replyTo lets http.ServeContent decide, with a writer that only notes what is written.
func (f *File) replyTo(method string, h http.Header) Reply {
	n := &note{header: http.Header{}}
	f.SetFields(n.header)
	http.ServeContent(n, &http.Request{Method: method, Header: h}, "", f.Modified, &span{size: f.Size})
	f.EndFields(n.reply.Status, n.header)
	names := make([]string, 0, len(n.header))
	for name := range n.header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		n.reply.Fields = append(n.reply.Fields, [2]string{name, n.header[name][0]})
	}
	n.reply.Fields = slices.Clip(n.reply.Fields) // others add to it
	return n.reply
}

// immutable is the Cache-Control of a name that stands for its contents.
const immutable = "public, max-age=31536000, immutable"

// SetFields sets the header fields that http.ServeContent does not know.
func (f *File) SetFields(h http.Header) {
	h["X-Content-Type-Options"] = []string{"nosniff"}
	h["Etag"] = []string{f.ETag}
	h["Content-Type"] = []string{f.Type} // or it would read the file
	if f.about.immutable {
		h["Cache-Control"] = []string{immutable}
	}
	if f.about.varies {
		h["Vary"] = []string{"Accept-Encoding"}
	}
	if f.about.code != coding.Identity {
		h["Content-Encoding"] = []string{f.about.code.String()}
	}
}

// Plan returns what the header says of the contents' coding, whatever else is done to it.
func (f *File) Plan() coding.Plan { return coding.Chosen(f.about.varies) }

// EndFields corrects the header of an answer that http.ServeContent begins. It does not
// know that encoded contents have a length, or what becomes of others that are refused.
func (f *File) EndFields(status int, h http.Header) {
	switch {
	case status == http.StatusOK:
		h["Content-Length"] = []string{strconv.FormatInt(f.Size, 10)}
	case status == http.StatusPreconditionFailed:
		delete(h, "Content-Type") // there is no content
		delete(h, "Content-Encoding")
	}
}

// note is an http.ResponseWriter that notes the answer.
type note struct {
	header http.Header
	reply  Reply
}

func (n *note) Header() http.Header    { return n.header }
func (n *note) WriteHeader(status int) { n.reply.Status = status }

func (n *note) Write(p []byte) (int, error) {
	n.reply.Body = append(n.reply.Body, p...)
	return len(p), nil
}

// ReadFrom notes which part of the file is wanted, instead of reading it.
func (n *note) ReadFrom(r io.Reader) (int64, error) {
	part := r.(*io.LimitedReader)
	n.reply.Offset, n.reply.Length = part.R.(*span).at, part.N
	return part.N, nil
}

// span is a file of which only the size matters.
type span struct{ at, size int64 }

func (s *span) Read([]byte) (int, error) { return 0, io.EOF }

func (s *span) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
		s.at = offset
	case io.SeekEnd:
		s.at = s.size + offset
	}
	return s.at, nil
}

const (
	maxRanges  = 16      // of a file, in one answer
	rangeWorth = 1 << 10 // bytes of the file for each range: its header in the answer takes less
)

// BoundRanges drops a Range header that is not for this method (RFC 9110, section 14.2),
// that http.ServeContent would not understand, or that is more work than the whole file of
// this size. http.ServeContent itself answers with the whole file if the ranges together
// are larger.
func BoundRanges(method string, h http.Header, size int64) {
	wanted := h["Range"]
	if len(wanted) == 0 {
		return
	}
	unit, ranges, _ := strings.Cut(wanted[0], "=")
	n := strings.Count(ranges, ",") + 1
	if method != http.MethodGet || len(wanted) > 1 || !strings.EqualFold(unit, "bytes") || n > maxRanges || n > 1 && int64(n) > size/rangeWorth {
		delete(h, "Range")
		return
	}
	wanted[0] = "bytes=" + ranges
}
