package static

import (
	"bytes"
	"io"
	"runtime"
	"time"

	"github.com/multisite/multisite/supervisor/coding"
	"github.com/multisite/multisite/supervisor/site"
)

const (
	maxEncoded    = 8 << 20          // of a file that is encoded here
	maxMade       = 64 << 20         // bytes of what was encoded, of all sites
	maxMadeOfSite = 16 << 20         // of one site
	maxMadeNoted  = 4096             // files that were encoded, or do not become smaller
	madeIdleFor   = 10 * time.Minute // what nobody asks for is kept
	maxMaking     = 64               // files that are being encoded: more are sent as they are
)

// madeKey is a file that was encoded.
type madeKey struct {
	site string
	id   identity
	code coding.Coding
}

// made is what it has become.
type made struct {
	file *File // nil: it does not become smaller
	used time.Time
}

// Wanted is a request for a file.
type Wanted struct {
	Path   string
	In     *site.Static // one of the site's Sendfile, below which Path is the name; nil: Path is that of a URL
	Accept string       // Accept-Encoding
	Plain  bool         // it is not encoded here: the request may be for a part of the file
}

// chooseLocked returns what of l the client gets, for another user. If need is not
// Identity, that has to be made first.
func (f *Files) chooseLocked(k key, l *located, w Wanted) (found Found, need coding.Coding) {
	if l.file == nil {
		return Found{Only: l.only, Location: l.location}, coding.Identity
	}
	choice := l.file
	if l.file.about.varies {
		choice, need = f.chooseCodingLocked(k, l, w)
	}
	if need != coding.Identity {
		return Found{}, need
	}
	choice.refs.Add(1)
	return Found{File: choice}, coding.Identity
}

// chooseCodingLocked chooses what stands encoded beside the file, or else what is encoded
// here. A part of the latter is never sent, since the next process may encode it in another
// way.
func (f *Files) chooseCodingLocked(k key, l *located, w Wanted) (choice *File, need coding.Coding) {
	accepted := coding.Parse(w.Accept)
	codes := make([]coding.Coding, 0, 3)
	for _, c := range l.coded {
		codes = append(codes, c.about.code)
	}
	best := accepted.Best(codes...)
	for _, c := range l.coded {
		if c.about.code == best {
			return c, coding.Identity
		}
	}
	if !l.file.about.encodable || w.Plain {
		return l.file, coding.Identity
	}
	if best = accepted.Best(coding.Made...); best == coding.Identity {
		return l.file, best
	}
	m := f.made[madeKey{k.site.Name, l.file.id, best}]
	switch {
	case m == nil:
		return nil, best
	case m.file == nil:
		return l.file, coding.Identity
	}
	m.used = time.Now()
	return m.file, coding.Identity
}

// encodeLocked encodes a file, and calls done. All that ask for the same meanwhile wait for
// it. It returns false if too many are being encoded.
func (f *Files) encodeLocked(s *site.Site, file *File, code coding.Coding, done func()) bool {
	k := madeKey{s.Name, file.id, code}
	if waiting, under := f.making[k]; under || len(f.making) < maxMaking {
		f.making[k] = append(waiting, done)
		if !under {
			file.refs.Add(1)
			f.disk.run(s.Name, func() {
				f.encoded(k, f.encode(file, code))
				file.Release()
			})
		}
		return true
	}
	return false
}

// encode returns a file encoded; nil if it does not become smaller, or cannot be read.
func (f *Files) encode(file *File, code coding.Coding) *File {
	f.coders <- struct{}{}
	defer func() { <-f.coders }()
	text := make([]byte, file.Size)
	if n, _ := file.ReadAt(text, 0); int64(n) < file.Size { // it was truncated
		return nil
	}
	data := code.Encode(text)
	if len(data) > len(text)-len(text)/16 {
		return nil
	}
	return newEncoded(file, code, bytes.Clone(data)) // without what its slice could grow to
}

// coders is how many files are encoded at once: requests need processors, too.
func coders() int { return max(runtime.GOMAXPROCS(0)/2, 1) }

// encoded notes what a file has become, and tells those that wait for it.
func (f *Files) encoded(k madeKey, file *File) {
	f.mu.Lock()
	f.keepMadeLocked(k, file)
	waiting := f.making[k]
	delete(f.making, k)
	f.mu.Unlock()
	for _, done := range waiting {
		done()
	}
}

func (f *Files) keepMadeLocked(k madeKey, file *File) {
	f.dropMadeLocked(k)
	var size int64
	if file != nil {
		size = file.Size
	}
	for len(f.made) >= maxMadeNoted || f.madeBytes+size > maxMade || f.madeOf[k.site]+size > maxMadeOfSite {
		f.dropOldestMadeLocked(k.site, f.madeOf[k.site]+size > maxMadeOfSite)
	}
	f.made[k] = &made{file, time.Now()}
	f.madeBytes += size
	f.madeOf[k.site] += size
	f.sweepLaterLocked()
}

// dropOldestMadeLocked forgets what nobody has asked for for longest, of one site if mine.
func (f *Files) dropOldestMadeLocked(site string, mine bool) {
	var oldest madeKey
	var used time.Time
	for k, m := range f.made {
		if (!mine || k.site == site && m.file != nil) && (used.IsZero() || m.used.Before(used)) {
			oldest, used = k, m.used
		}
	}
	f.dropMadeLocked(oldest)
}

func (f *Files) dropMadeLocked(k madeKey) {
	m := f.made[k]
	if m == nil {
		return
	}
	delete(f.made, k)
	if m.file == nil {
		return
	}
	f.madeBytes -= m.file.Size
	if f.madeOf[k.site] -= m.file.Size; f.madeOf[k.site] == 0 {
		delete(f.madeOf, k.site)
	}
}

// newEncoded returns a file that is in memory.
func newEncoded(of *File, code coding.Coding, data []byte) *File {
	a := of.about
	a.code = code
	file := &File{
		Name: of.Name, Size: int64(len(data)), Modified: of.Modified, Type: of.Type,
		ETag:  "W/" + of.ETag[:len(of.ETag)-1] + "-" + code.String() + `"`,
		about: a, data: data, disk: of.disk, site: of.site,
	}
	file.refs.Store(1) // the cache's: it is never released, since nothing is to be closed
	file.whole = file.replyTo("GET", nil)
	return file
}

// readData is ReadAt of a file that is in memory.
func (f *File) readData(p []byte, off int64) (int, error) {
	if off >= int64(len(f.data)) {
		return 0, io.EOF
	}
	return copy(p, f.data[off:]), nil
}
