package site

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
)

func paths(pages []AskedPage) (paths []string) {
	for _, p := range pages {
		paths = append(paths, p.Path)
	}
	return paths
}

func TestAsked_TheMostAskedComeFirst(t *testing.T) {
	t.Parallel()
	var a Asked
	for i := range 100 {
		a.Count("/")
		if i%2 == 0 {
			a.Count("/hello/")
			a.Count("/a/")
		}
	}
	want := []AskedPage{{"/", 100}, {"/a/", 50}, {"/hello/", 50}}
	if got := a.Pages(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	var after Asked
	after.Restore(want)
	after.Count("/a/")
	want[1].Count = 51
	if got := after.Pages(); !reflect.DeepEqual(got, want) {
		t.Errorf("restored: got %v, want %v", got, want)
	}
}

// TestAsked_AFloodPushesNothingOut: a hostile visitor requests a million paths, each once or
// twice, while the real pages are asked for one time in a thousand.
func TestAsked_AFloodPushesNothingOut(t *testing.T) {
	t.Parallel()
	var a Asked
	real := []string{"/", "/about/", "/shop/", "/contact/", "/news/", "/blog/", "/search/", "/login/"}
	for range 20 {
		for _, path := range real {
			a.Count(path)
		}
	}
	for i := range 1_000_000 {
		path := fmt.Sprintf("/%d/%s", i, strings.Repeat("x", i%300))
		for range 1 + i%2 {
			a.Count(path)
		}
		if i%1000 == 0 {
			a.Count(real[i/1000%len(real)])
		}
	}
	top := paths(a.Pages()[:len(real)])
	slices.Sort(top)
	slices.Sort(real)
	if !slices.Equal(top, real) {
		t.Errorf("got %q, want %q", top, real)
	}
	size := 0
	for _, p := range a.Pages() {
		size += len(p.Path)
	}
	if len(a.Pages()) > maxAsked || size > maxAsked*maxAskedPath || len(a.index) != len(a.pages) {
		t.Errorf("%d pages of %d bytes, %d in the index", len(a.Pages()), size, len(a.index))
	}
}

// TestAsked_FollowsItsVisitors: pages that nobody asks for any more give way to new ones,
// even if the table is full of them.
func TestAsked_FollowsItsVisitors(t *testing.T) {
	t.Parallel()
	var a Asked
	for i := range 5_000 {
		a.Count(fmt.Sprintf("/old/%d", i%maxAsked))
	}
	for i := range 40_000 {
		a.Count(fmt.Sprintf("/new/%d", i%3))
	}
	for _, path := range paths(a.Pages()[:3]) {
		if !strings.HasPrefix(path, "/new/") {
			t.Errorf("got %q first, want a new page", path)
		}
	}
	if a.total > maxAskedTotal {
		t.Errorf("the counts make %d", a.total)
	}
}

// TestAsked_RestoreChecks: the journal is a file, and may have been written by another
// version.
func TestAsked_RestoreChecks(t *testing.T) {
	t.Parallel()
	var a Asked
	odd := []AskedPage{{"", 1}, {"x", 1}, {"/a?b", 1}, {"/%41", 1}, {"/" + strings.Repeat("x", maxAskedPath), 1}, {"/n", -1}, {"/m", maxAskedTotal + 1}, {"/0", 0}}
	a.Restore(append(odd, AskedPage{"/good/", 2}, AskedPage{"/good/", 3}))
	if got, want := a.Pages(), []AskedPage{{"/good/", 2}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for i := range 1000 {
		odd = append(odd, AskedPage{fmt.Sprint("/", i), 1})
	}
	if a.Restore(odd); len(a.Pages()) != maxAsked {
		t.Errorf("%d pages, want %d", len(a.Pages()), maxAsked)
	}
}

func TestAsked_FromManyGoroutines(t *testing.T) {
	t.Parallel()
	var a Asked
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 1000 {
				a.Count("/")
				a.Count(fmt.Sprintf("/%d/%d", g, i))
				if i%100 == 0 {
					a.Pages()
				}
			}
		})
	}
	wg.Wait()
	if got := a.Pages()[0]; got != (AskedPage{"/", 8000}) {
		t.Errorf("got %v first", got)
	}
}

// TestAsked_ANewPageComesToStay: once it is asked for more than an older one, no flood of
// other paths takes its place.
func TestAsked_ANewPageComesToStay(t *testing.T) {
	t.Parallel()
	var a Asked
	for i := range 5 * maxAsked {
		a.Count(fmt.Sprintf("/old/%d", i%maxAsked))
	}
	for range 50 {
		a.Count("/new/")
	}
	for i := range 2000 {
		a.Count(fmt.Sprintf("/flood/%d", i/2))
	}
	if got := a.Pages()[0]; got != (AskedPage{"/new/", 50}) {
		t.Errorf("got %v first", got)
	}
}
