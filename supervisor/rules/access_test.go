package rules

import (
	"context"
	"encoding/base64"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

func htpasswd(t testing.TB, pairs ...string) *Users {
	t.Helper()
	var file strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		hash, err := bcrypt.GenerateFromPassword([]byte(pairs[i+1]), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		file.WriteString("# a comment\n\n" + pairs[i] + ":" + string(hash) + "\r\n")
	}
	u, err := ParseUsers(file.String())
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func withPassword(uri, user, password string) *Request {
	q := ask(uri)
	q.Authorization = func() string { return "basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)) }
	return q
}

// judge is Judge, and the check if there is one.
func (r *Rules) judge(q *Request) (v Verdict, checked bool) {
	v = r.Judge(q, time.Now())
	if v.Check == nil {
		return v, false
	}
	return v.Check.Run(context.Background()), true
}

func (v Verdict) status() int {
	if v.Answer == nil {
		return 200
	}
	return v.Answer.Status
}

func TestRules_AccessByAddress(t *testing.T) {
	t.Parallel()
	prefix := netip.MustParsePrefix
	r := &Rules{Mount: "/m", Access: []Area{
		{Path: "", Deny: []netip.Prefix{prefix("203.0.113.0/24")}},
		{Path: "/intern", Allow: []netip.Prefix{prefix("192.0.2.0/24"), prefix("2001:db8::/32")}, Deny: []netip.Prefix{prefix("192.0.2.66/32")}},
		{Path: "/intern/open", Allow: []netip.Prefix{prefix("0.0.0.0/0"), prefix("::/0")}},
	}}
	for _, test := range []struct {
		addr, path string
		want       int
	}{
		{"198.51.100.1", "/m/", 200}, {"198.51.100.1", "/m", 200}, {"203.0.113.5", "/m/x", 403}, {"203.0.113.5", "/m", 403},
		{"192.0.2.1", "/m/intern/a", 200}, {"198.51.100.1", "/m/intern/a", 403}, {"198.51.100.1", "/m/intern", 403}, {"198.51.100.1", "/m/internal", 200},
		{"192.0.2.66", "/m/intern/", 403}, {"2001:db8::9", "/m/intern/", 200}, {"::ffff:192.0.2.1", "/m/intern/", 200}, {"@", "/m/intern/", 403}, {"", "/m/intern/", 403},
		{"203.0.113.5", "/m/intern/open/x", 200}, {"198.51.100.1", "/m/x/../intern/a", 400}, {"198.51.100.1", "/m//intern/a", 400},
		{"198.51.100.1", "/m/intern/../x", 400}, {"198.51.100.1", "/m/./intern", 400}, {"198.51.100.1", "/m/files/../intern", 400}, {"198.51.100.1", "/m/files/x/../../../intern/a", 400}, {"198.51.100.1", "/m/a/..", 400}, {"198.51.100.1", "/m/a..b/...", 200}, {"192.0.2.1", "/m/intern//a", 200}, {"198.51.100.1", "/m/a//b", 200},
	} {
		q := ask(test.path)
		q.Addr = test.addr
		if v, _ := r.judge(q); v.status() != test.want {
			t.Errorf("%s %s: got %d, want %d", test.addr, test.path, v.status(), test.want)
		}
	}
}

func TestRules_Passwords(t *testing.T) {
	t.Parallel()
	users := htpasswd(t, "alice", "wonder:land", "bob", "builder")
	r := &Rules{Passwords: NewPasswords(), Access: []Area{{Path: "/a", Users: users, Realm: "Staff"}}}
	for _, test := range []struct {
		user, password string
		want           int
		checked        bool
	}{
		{"alice", "wonder:land", 200, true}, {"alice", "wonder:land", 200, false}, {"alice", "wonder", 401, true}, {"alice", "wonder", 401, true},
		{"bob", "wonder:land", 401, true}, {"mallory", "builder", 401, true}, {"mallory", "builder", 401, true}, {"bob", "builder", 200, true}, {"", "", 401, true},
	} {
		v, checked := r.judge(withPassword("/a/x", test.user, test.password))
		if v.status() != test.want || checked != test.checked || test.want == 200 && v.User != test.user || test.want == 401 && v.User != "" {
			t.Errorf("%s %s: got %d for %q, checked: %v", test.user, test.password, v.status(), v.User, checked)
		}
	}
	for _, header := range []string{"", "Bearer x", "Basic", "Basic !!", "Basic " + base64.StdEncoding.EncodeToString([]byte("alice")), "Basic " + strings.Repeat("YTph", 1000)} {
		q := ask("/a/x")
		q.Authorization = func() string { return header }
		v := r.Judge(q, time.Now())
		if v.Check != nil || v.status() != 401 || field(v.Answer, "Www-Authenticate") != `Basic realm="Staff", charset="UTF-8"` {
			t.Errorf("%.20q: got %+v", header, v.Answer)
		}
	}
	// A password that was changed is wrong at once.
	r.Access[0].Users = htpasswd(t, "alice", "other")
	if v, _ := r.judge(withPassword("/a", "alice", "wonder:land")); v.status() != 401 {
		t.Errorf("the old password: got %d", v.status())
	}
}

// TestPasswords_AFloodIsBounded: many wrong passwords at once are checked one after the
// other, most of them not at all, and nothing is left of them.
func TestPasswords_AFloodIsBounded(t *testing.T) {
	t.Parallel()
	p := NewPasswords()
	r := &Rules{Passwords: p, Access: []Area{{Users: htpasswd(t, "alice", "a")}}}
	var all sync.WaitGroup
	var mu sync.Mutex
	counts := map[int]int{}
	for i := range 500 {
		all.Go(func() {
			q := withPassword("/", "alice", strings.Repeat("x", 1+i%70))
			if i%2 == 0 {
				q.Addr = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String()
			}
			v, _ := r.judge(q)
			mu.Lock()
			defer mu.Unlock()
			counts[v.status()]++
		})
	}
	all.Wait()
	if counts[200] > 0 || counts[401]+counts[429] != 500 || counts[429] == 0 {
		t.Errorf("got %v", counts)
	}
	if p.all != 0 || len(p.waiting) != 0 || len(p.known) != 0 {
		t.Errorf("%d wait, of %d addresses; %d are known", p.all, len(p.waiting), len(p.known))
	}
	if v, _ := r.judge(withPassword("/", "alice", "a")); v.status() != 200 {
		t.Errorf("the right one: got %d", v.status())
	}
	for i := range 3 * maxKnown {
		p.learn(key{byte(i), byte(i >> 8)})
	}
	if len(p.known) > maxKnown {
		t.Errorf("%d are known", len(p.known))
	}
}

func TestParseUsers_Refuses(t *testing.T) {
	t.Parallel()
	hash, _ := bcrypt.GenerateFromPassword([]byte("x"), bcrypt.MinCost)
	for name, text := range map[string]string{
		"empty": "", "no colon": "alice", "SHA": "alice:{SHA}2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "crypt": "root:$6$salt$hash", "plain": "alice:secret",
		"no name": ":" + string(hash), "odd name": "al ice:" + string(hash), "quote": "a\"b:" + string(hash), "cost": "alice:$2y$31$" + strings.Repeat("a", 53),
	} {
		if u, err := ParseUsers(text); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %+v, %v", name, u, err)
		}
	}
}
