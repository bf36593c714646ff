package fastcgi

import (
	"context"
	"crypto/tls"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// baseline is what a plain GET of / sends.
func baseline() map[string]string {
	return map[string]string{
		"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/", "QUERY_STRING": "", "REQUEST_URI": "/",
		"SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_SCHEME": "http", "SERVER_NAME": "example.com", "SERVER_PORT": "80",
		"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "1234", "HTTP_HOST": "example.com",
	}
}

func TestParams(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		script string
		target string // "/" when empty
		change func(*http.Request)
		want   map[string]string // beside the baseline; "-" is absent
	}{
		{name: "plain"},
		{
			name:   "IPv6 client",
			change: func(r *http.Request) { r.RemoteAddr = "[2001:db8::1]:443" },
			want:   map[string]string{"REMOTE_ADDR": "2001:db8::1", "REMOTE_PORT": "443"},
		}, {
			name:   "client with a zone",
			change: func(r *http.Request) { r.RemoteAddr = "[fe80::1%eth0]:443" },
			want:   map[string]string{"REMOTE_ADDR": "fe80::1%eth0", "REMOTE_PORT": "443"},
		}, {
			name:   "host with port",
			change: func(r *http.Request) { r.Host = "Example.com:8080" },
			want:   map[string]string{"SERVER_NAME": "Example.com", "SERVER_PORT": "8080", "HTTP_HOST": "Example.com:8080"},
		}, {
			name:   "host with an empty port",
			change: func(r *http.Request) { r.Host = "example.com:" },
			want:   map[string]string{"SERVER_PORT": "80", "HTTP_HOST": "example.com:"},
		}, {
			name:   "IPv6 host",
			change: func(r *http.Request) { r.Host = "[::1]" },
			want:   map[string]string{"SERVER_NAME": "[::1]", "HTTP_HOST": "[::1]"},
		}, {
			name:   "IPv6 host with port",
			change: func(r *http.Request) { r.Host = "[::1]:8080" },
			want:   map[string]string{"SERVER_NAME": "[::1]", "SERVER_PORT": "8080", "HTTP_HOST": "[::1]:8080"},
		}, {
			name: "HTTP/1.0 without host",
			change: func(r *http.Request) {
				r.Host, r.Proto = "", "HTTP/1.0"
				local := &net.TCPAddr{IP: net.IPv6loopback, Port: 8080}
				*r = *r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, local))
			},
			want: map[string]string{"SERVER_NAME": "[::1]", "SERVER_PORT": "8080", "HTTP_HOST": "-", "SERVER_PROTOCOL": "HTTP/1.0"},
		}, {
			name:   "https",
			change: func(r *http.Request) { r.URL.Scheme, r.TLS = "https", &tls.ConnectionState{} },
			want:   map[string]string{"REQUEST_SCHEME": "https", "HTTPS": "on", "SERVER_PORT": "443"},
		}, {
			name:   "query",
			target: "/a?b=c&d=%20+?",
			want:   map[string]string{"PATH_INFO": "/a", "QUERY_STRING": "b=c&d=%20+?", "REQUEST_URI": "/a?b=c&d=%20+?"},
		}, {
			name:   "percent-encoded path",
			target: "/caf%C3%A9/a%2Fb%25%20c",
			want:   map[string]string{"PATH_INFO": "/café/a/b% c", "REQUEST_URI": "/caf%C3%A9/a%2Fb%25%20c"},
		}, {
			name:   "mount",
			script: "/sub", target: "/sub/page",
			want: map[string]string{"SCRIPT_NAME": "/sub", "PATH_INFO": "/page", "REQUEST_URI": "/sub/page"},
		}, {
			name:   "mount point itself",
			script: "/sub", target: "/sub",
			want: map[string]string{"SCRIPT_NAME": "/sub", "PATH_INFO": "", "REQUEST_URI": "/sub"},
		}, {
			name:   "encoded mount",
			script: "/sub", target: "/s%75b/page",
			want: map[string]string{"SCRIPT_NAME": "/sub", "PATH_INFO": "/page", "REQUEST_URI": "/s%75b/page"},
		}, {
			name: "headers",
			change: func(r *http.Request) {
				r.Header = http.Header{
					"X-Forwarded-For": {"a", "b"}, "Cookie": {"a=1", "b=2"}, "Accept": {""}, "X-None": {},
					"X_y.Z~1": {"odd"}, "Content-Type": {"text/plain; charset=utf-8"}, "X-Latin": {"\xe9"},
				}
			},
			want: map[string]string{
				"HTTP_X_FORWARDED_FOR": "a, b", "HTTP_COOKIE": "a=1; b=2", "HTTP_ACCEPT": "",
				"HTTP_X_Y.Z~1": "odd", "CONTENT_TYPE": "text/plain; charset=utf-8", "HTTP_X_LATIN": "\xe9",
			},
		}, {
			name:   "httpoxy",
			change: func(r *http.Request) { r.Header = http.Header{"Proxy": {"http://evil"}, "Proxy-Name": {"x"}} },
			want:   map[string]string{"HTTP_PROXY_NAME": "x"},
		}, {
			name: "body",
			change: func(r *http.Request) {
				r.Method, r.ContentLength, r.Header = "POST", 5, http.Header{"Content-Length": {"5"}}
			},
			want: map[string]string{"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "5"},
		}, {
			name: "empty body",
			change: func(r *http.Request) {
				r.Method, r.Header = "POST", http.Header{"Content-Length": {"0"}}
			},
			want: map[string]string{"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "0"},
		}, {
			name: "body of unknown length",
			change: func(r *http.Request) {
				r.Method, r.ContentLength, r.Header = "POST", -1, http.Header{"Content-Length": {"5"}}
			},
			want: map[string]string{"REQUEST_METHOD": "POST"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			target := test.target
			if target == "" {
				target = "/"
			}
			r := httptest.NewRequest("GET", target, nil)
			if test.change != nil {
				test.change(r)
			}
			want := baseline()
			maps.Copy(want, test.want)
			maps.DeleteFunc(want, func(_, value string) bool { return value == "-" })
			got, err := decodePairs(string(appendParams(nil, headOf(r), test.script)))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got  %v (%v)\nwant %v", got, err, want)
			}
		})
	}
}

// TestParams_AnySize sends headers around the limits of a length byte, a record
// and a socket buffer.
func TestParams_AnySize(t *testing.T) {
	t.Parallel()
	got := make(chan map[string]string, 1)
	c := startWorker(t, Options{Params: map[string]string{"SITE": "blog"}}, func(p *peer) {
		for {
			r, ok := p.request()
			if !ok {
				return
			}
			got <- r.params
			p.send(answer(r.id, "\n"))
		}
	})
	sizes := []int{0, 1, 122, 123, 127, 128, 255, 256, 65000, 65528, 70000, 3 * 65536, 1 << 20}
	for size := 65528 - 400; size < 65528-200; size++ { // with the other params: one full record
		sizes = append(sizes, size)
	}
	for _, size := range sizes {
		for _, body := range []string{"", "hello"} {
			r := newRequest(t, "POST", "/", body)
			r.Header.Set("X-"+strings.Repeat("n", size%1000), strings.Repeat("v", size))
			if _, _, err := fetch(c, r); err != nil {
				t.Fatalf("%d bytes: %v", size, err)
			}
			params := <-got
			name := "HTTP_X_" + strings.Repeat("N", size%1000)
			if value, ok := params[name]; !ok || len(value) != size || params["SITE"] != "blog" {
				t.Errorf("%d bytes: got %d bytes in %v", size, len(value), slices.Sorted(maps.Keys(params)))
			}
			if body != "" && params["CONTENT_LENGTH"] != strconv.Itoa(len(body)) {
				t.Errorf("%d bytes: got CONTENT_LENGTH %q", size, params["CONTENT_LENGTH"])
			}
		}
	}
}
