package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/multisite/multisite/supervisor/proxy"
	"github.com/multisite/multisite/supervisor/site"
)

// oneWorker is a Backend whose only worker answers in this process. It is always free:
// it is its own claim.
type oneWorker struct{ handler http.Handler }

func (w oneWorker) Claim(context.Context, string) (site.Claim, error) { return w, nil }
func (w oneWorker) Retry(context.Context) (site.Claim, error)         { return w, nil }
func (w oneWorker) Worker() string                                    { return "blog/1" }
func (w oneWorker) Release()                                          {}
func (w oneWorker) Fail(error)                                        {}
func (w oneWorker) PID() int                                          { return 0 }
func (w oneWorker) Hold(func()) func()                                { return func() {} }
func (w oneWorker) Abandon()                                          {}

func (w oneWorker) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	w.handler.ServeHTTP(recorder, r)
	return recorder.Result(), nil
}

// The front door finds the site of a request by its server name and passes the request to
// a worker of that site.
func Example() {
	blog := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s of %s", r.URL.Path, r.Host)
	})
	p := proxy.New(proxy.Options{})
	p.SetTable(site.NewTable([]site.Route{{
		Hosts: []string{"blog.example.com"},
		Mount: "/",
		Site:  &site.Site{Name: "blog", Backend: oneWorker{blog}, Stats: &site.Stats{}},
	}}))

	server, err := p.NewServer()
	if err != nil {
		fmt.Println(err)
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()

	for _, host := range []string{"blog.example.com", "shop.example.com"} {
		r, err := http.NewRequest(http.MethodGet, "http://"+l.Addr().String()+"/news", nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		r.Host = host
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			fmt.Println(err)
			return
		}
		if resp.StatusCode == http.StatusOK {
			body, _ := io.ReadAll(resp.Body)
			fmt.Printf("%s: %s\n", resp.Status, body)
		} else {
			fmt.Println(resp.Status) // no site has this name
		}
		resp.Body.Close()
	}

	fmt.Println(server.Shutdown(context.Background()), <-served)
	// Output:
	// 200 OK: /news of blog.example.com
	// 421 Misdirected Request
	// <nil> http: Server closed
}
