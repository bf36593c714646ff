package coding

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func decode(t *testing.T, c Coding, r io.Reader) string {
	t.Helper()
	var all []byte
	switch c {
	case Gzip:
		z, err := gzip.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		if all, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	case Zstd:
		z, err := zstd.NewReader(r)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		if all, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	return string(all)
}

func TestCoding_Encode(t *testing.T) {
	t.Parallel()
	for _, c := range Made {
		for _, size := range []int{0, 1, 5000, 1 << 20} {
			text := strings.Repeat("page ", size/5)
			coded := c.Encode([]byte(text))
			if got := decode(t, c, bytes.NewReader(coded)); got != text {
				t.Errorf("%v of %d bytes: other text", c, size)
			}
			if size > MinSize && len(coded) > size/4 {
				t.Errorf("%v of %d bytes: %d", c, size, len(coded))
			}
			if again := c.Encode([]byte(text)); !bytes.Equal(again, coded) {
				t.Errorf("%v: other bytes the second time", c)
			}
		}
	}
}

// TestWriter_FlushSendsAll: what was written before can be read, and encoders that are used
// again mix nothing up.
func TestWriter_FlushSendsAll(t *testing.T) {
	t.Parallel()
	for _, c := range Made {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for range 20 {
					text := strings.Repeat(string(rune('a'+i)), 1000)
					r, w := io.Pipe()
					got := make(chan string)
					go func() {
						first := make([]byte, len(text))
						var in io.Reader
						if c == Gzip {
							in, _ = gzip.NewReader(r)
						} else {
							z, _ := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
							defer z.Close()
							in = z
						}
						_, _ = io.ReadFull(in, first) // what came shows it
						got <- string(first)
						rest, _ := io.ReadAll(in)
						got <- string(rest)
					}()
					z := c.NewWriter(w)
					for _, part := range []string{text[:1], text[1:]} {
						if _, err := io.WriteString(z, part); err != nil {
							t.Error(err)
						}
						if err := z.Flush(); err != nil {
							t.Error(err)
						}
					}
					if g := <-got; g != text {
						t.Errorf("%v: got %.20q", c, g)
					}
					_, _ = io.WriteString(z, "end") // Close tells
					if err := z.Close(); err != nil {
						t.Error(err)
					}
					w.Close()
					if g := <-got; g != "end" {
						t.Errorf("%v: got %.20q", c, g)
					}
				}
			})
		}
		wg.Wait()
	}
}

func TestPays(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"text/html; charset=utf-8": true, "TEXT/CSS": true, "application/json": true, "image/svg+xml": true, "application/problem+json;x": true, "font/ttf": true,
		"text/event-stream": false, "image/png": false, "video/mp4": false, "application/zip": false, "font/woff2": false, "": false, "application/octet-stream": false,
	} {
		if got := Pays(name); got != want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
