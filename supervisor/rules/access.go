package rules

import (
	"encoding/base64"
	"net/http"
	"net/netip"
	"path"
	"strconv"
	"strings"
	"time"
)

// Area is who may see what lies below a path. Of several areas the one with the longest
// path counts alone.
type Area struct {
	Path  string         // below the mount, without a slash at its end; "": the whole site
	Allow []netip.Prefix // none: all addresses
	Deny  []netip.Prefix // stronger than Allow
	Users *Users         // nil: nobody is asked for a password
	Realm string
}

// area returns the area of a path. ok is false for a path that another reader could take
// for one in another area. Where ".." leads depends on where a reader begins: static files
// begin behind their prefix.
func (r *Rules) area(p string) (a *Area, ok bool) {
	p = r.below(p)
	a = r.areaOf(p)
	if strings.Contains(p+"/", "/../") {
		return nil, false
	}
	if clean := path.Clean(p); clean != p && clean+"/" != p && r.areaOf(clean) != a {
		return nil, false
	}
	return a, true
}

func (r *Rules) areaOf(p string) (found *Area) {
	for i := range r.Access {
		a := &r.Access[i]
		if rest, below := strings.CutPrefix(p, a.Path); below && (rest == "" || rest[0] == '/') && (found == nil || len(a.Path) > len(found.Path)) {
			found = a
		}
	}
	return found
}

func (r *Rules) judgeAccess(q *Request, now time.Time) Verdict {
	if len(r.Access) == 0 {
		return Verdict{}
	}
	a, ok := r.area(q.Path)
	switch {
	case !ok:
		return Verdict{Answer: &Answer{Status: http.StatusBadRequest, Why: "access: a path that is not in its shortest form"}}
	case a == nil:
		return Verdict{}
	case contains(a.Deny, q.Addr) || len(a.Allow) > 0 && !contains(a.Allow, q.Addr):
		return Verdict{Answer: &Answer{Status: http.StatusForbidden, Why: "access"}}
	case a.Users == nil:
		return Verdict{}
	}
	user, password, ok := basic(q.Authorization())
	if !ok {
		return Verdict{Answer: a.challenge()}
	}
	hash, known := a.Users.hashOf(user)
	c := &Check{rules: r, request: *q, area: a, user: user, hash: hash, known: known, password: password}
	if known && r.Passwords.isKnown(c.key()) {
		return Verdict{User: user}
	}
	return Verdict{Check: c}
}

// challenge asks for a password.
func (a *Area) challenge() *Answer {
	return &Answer{Status: http.StatusUnauthorized, Why: "access", Fields: [][2]string{{"Www-Authenticate", "Basic realm=" + strconv.Quote(a.Realm) + `, charset="UTF-8"`}}}
}

// maxPassword is more than bcrypt looks at.
const maxPassword = 256

// basic reads an Authorization header (RFC 7617).
func basic(header string) (user, password string, ok bool) {
	scheme, credentials, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") || len(credentials) > 2*maxPassword {
		return "", "", false
	}
	b, err := base64.StdEncoding.DecodeString(strings.TrimLeft(credentials, " "))
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(b), ":")
}
