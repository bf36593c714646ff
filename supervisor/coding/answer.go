package coding

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Rule says which answers of a site's workers are encoded. The zero value is none.
type Rule struct {
	On    bool
	Types []string // media types in lower case, "text/html" or "text/*"; nil: all that become smaller
}

// Asked is what counts of a request.
type Asked struct {
	Accept    string // Accept-Encoding
	NoneMatch string // If-None-Match
	Head      bool   // the method is HEAD
}

// Facts are what counts of an answer.
type Facts struct {
	Status    int
	Length    int64 // of the body; -1: not known
	mediaType string
	etag      string
	never     bool // it is encoded already, a part of something, or not to be changed
}

// Of returns the facts of an answer of which the header is still to be looked at.
func Of(status int) Facts { return Facts{Status: status, Length: -1} }

// Look takes notice of a header field, whose name is in canonical form.
func (f *Facts) Look(name, value string) {
	switch name {
	case "Content-Type":
		f.mediaType = bare(value)
	case "Content-Encoding":
		f.never = f.never || !strings.EqualFold(value, "identity")
	case "Content-Range":
		f.never = true
	case "Cache-Control":
		f.never = f.never || strings.Contains(strings.ToLower(value), "no-transform")
	case "Content-Length":
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			f.Length = n
		}
	case "Etag":
		f.etag = value
	}
}

// Plan is what becomes of an answer.
type Plan struct {
	Code   Coding // of the body
	varies bool   // other clients get it in another coding
	weak   bool   // its ETag stands for more than one coding
	empty  bool   // it has no body, whatever would be in it
}

// Changes reports whether the header of the answer changes.
func (p Plan) Changes() bool { return p.varies }

// Plan returns what becomes of an answer. An unchanged page that the client has encoded
// keeps the tag that it had then.
func (r *Rule) Plan(a Asked, f Facts) Plan {
	switch {
	case !r.On || f.never:
		return Plan{}
	case f.Status == http.StatusNotModified:
		known := isStrong(f.etag) && strings.Contains(a.NoneMatch, "W/"+f.etag)
		return Plan{varies: known, weak: known, empty: true}
	case f.Status < 200 || f.Status == http.StatusNoContent || f.Status == http.StatusPartialContent:
		return Plan{}
	case f.Length >= 0 && f.Length < MinSize || !r.has(f.mediaType):
		return Plan{}
	}
	p := Plan{Code: Parse(a.Accept).Best(Made...), varies: true}
	if p.weak = p.Code != Identity; a.Head && f.Length < 0 { // nobody knows whether it is long enough
		p.Code = Identity
	}
	return p
}

// Short returns the plan for an answer of which is known by now that it is this short.
func (p Plan) Short(size int64) Plan {
	if size < MinSize && !p.empty {
		return Plan{}
	}
	return p
}

func (r *Rule) has(mediaType string) bool {
	if r.Types == nil {
		return Pays(mediaType)
	}
	return mediaType != "text/event-stream" && slices.ContainsFunc(r.Types, func(t string) bool {
		group, any := strings.CutSuffix(t, "*")
		return t == mediaType || any && strings.HasPrefix(mediaType, group)
	})
}

// Chosen is the plan of a body that stays as it is, and whether it was chosen by what the
// client accepts.
func Chosen(varies bool) Plan { return Plan{varies: varies} }

// ofPlain are the headers that do not hold for an encoded answer: the worker would give a
// client that asks for the rest of one a part of another.
var ofPlain = []string{"Content-Length", "Content-Encoding", "Accept-Ranges"}

// Fields returns the header of an answer as it becomes by the plan.
func (p Plan) Fields(fields [][2]string) [][2]string {
	if !p.varies {
		return fields
	}
	changed := make([][2]string, 0, len(fields)+2)
	vary := -1
	for _, f := range fields {
		switch {
		case p.Code != Identity && slices.Contains(ofPlain, f[0]):
			continue
		case p.weak && f[0] == "Etag":
			f[1] = weaken(f[1])
		case f[0] == "Vary":
			vary = len(changed)
		}
		changed = append(changed, f)
	}
	if vary < 0 {
		changed = append(changed, [2]string{"Vary", acceptEncoding})
	} else {
		changed[vary][1] = addVary(changed[vary][1])
	}
	if p.Code != Identity {
		changed = append(changed, [2]string{"Content-Encoding", p.Code.String()})
	}
	return changed
}

// Header is Fields for a header of net/http, which it changes.
func (p Plan) Header(h http.Header) {
	if !p.varies {
		return
	}
	if tags := h["Etag"]; p.weak && len(tags) > 0 {
		h["Etag"] = []string{weaken(tags[0])}
	}
	h["Vary"] = []string{addVary(strings.Join(h["Vary"], ", "))}
	if p.Code != Identity {
		for _, name := range ofPlain {
			delete(h, name)
		}
		h["Content-Encoding"] = []string{p.Code.String()}
	}
}

const acceptEncoding = "Accept-Encoding"

func addVary(vary string) string {
	for name := range strings.SplitSeq(vary, ",") {
		if name = strings.TrimSpace(name); name == "*" || strings.EqualFold(name, acceptEncoding) {
			return vary
		}
	}
	if strings.TrimSpace(vary) == "" {
		return acceptEncoding
	}
	return vary + ", " + acceptEncoding
}

func isStrong(tag string) bool { return strings.HasPrefix(tag, `"`) }

func weaken(tag string) string {
	if isStrong(tag) {
		return "W/" + tag
	}
	return tag
}
