package rules

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
)

const (
	maxKnown       = 1024 // passwords that need no second check
	maxWaiting     = 64   // checks that wait
	maxWaitingEach = 2    // of one address
	checkPatience  = 10 * time.Second
)

// Passwords checks passwords for all sites, few at a time, since bcrypt takes long on
// purpose: a flood of wrong ones gets at most half the time of a quarter of the processors.
// It remembers right ones by a keyed hash, never the password. Any goroutine may use it.
type Passwords struct {
	secret [32]byte
	slots  chan struct{} // holds a value for each check that runs

	mu sync.Mutex
	// mu protects all below
	known   map[key]bool
	waiting map[netip.Addr]int // checks that run or wait, by network; never 0
	all     int                // their sum
}

type key [sha256.Size]byte

// NewPasswords returns a Passwords that knows none.
func NewPasswords() *Passwords {
	p := &Passwords{slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/4)), known: map[key]bool{}, waiting: map[netip.Addr]int{}}
	_, _ = rand.Read(p.secret[:]) // never fails
	return p
}

func (p *Passwords) isKnown(k key) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[k]
}

// learn remembers a right password, in place of any other if there are too many.
func (p *Passwords) learn(k key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.known) >= maxKnown {
		for other := range p.known {
			delete(p.known, other)
			break
		}
	}
	p.known[k] = true
}

// enter counts a check, unless there are too many.
func (p *Passwords) enter(from netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all >= maxWaiting || p.waiting[from] >= maxWaitingEach {
		return false
	}
	p.all++
	p.waiting[from]++
	return true
}

func (p *Passwords) leave(from netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
	if p.waiting[from]--; p.waiting[from] == 0 {
		delete(p.waiting, from)
	}
}

// Check is a password that has to be checked.
type Check struct {
	rules                *Rules
	request              Request
	area                 *Area
	user, hash, password string
	known                bool // there is such a user
}

// key returns what a right password is remembered by. With another hash it is another.
func (c *Check) key() (k key) {
	h := hmac.New(sha256.New, c.rules.Passwords.secret[:])
	h.Write([]byte(c.user + "\x00" + c.hash + "\x00" + c.password))
	h.Sum(k[:0])
	return k
}

// Run checks the password and applies the rules that are left. It may wait.
func (c *Check) Run(ctx context.Context) Verdict {
	p, from := c.rules.Passwords, network(c.request.Addr)
	if !p.enter(from) {
		return tooMany()
	}
	defer p.leave(from)
	ctx, cancel := context.WithTimeout(ctx, checkPatience)
	defer cancel()
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return tooMany()
	}
	begin := time.Now()
	err := bcrypt.CompareHashAndPassword([]byte(c.hash), []byte(c.password))
	if err != nil || !c.known {
		go p.rest(time.Since(begin)) // ends after as long as the check took
		return Verdict{Answer: c.area.challenge()}
	}
	<-p.slots
	p.learn(c.key())
	return Verdict{User: c.user, Answer: c.rules.redirect(&c.request)}
}

// rest keeps a slot for as long as a wrong password has taken.
func (p *Passwords) rest(took time.Duration) {
	timer := time.NewTimer(took)
	<-timer.C
	<-p.slots
}

func tooMany() Verdict {
	return Verdict{Answer: &Answer{Status: http.StatusTooManyRequests, Why: "access: too many passwords at once", Fields: [][2]string{retryAfter(time.Second)}}}
}
