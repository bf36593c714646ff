package worker_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/multisite/multisite/worker"
	"github.com/multisite/multisite/worker/goapp"
)

// program is the main function of a Go site:
//
//	[site.hello]
//	server_name = "hello.example.com"
//	app = "./hello"
func program() {
	worker.Serve(http.HandlerFunc(hello))
	fmt.Println("bye") // the supervisor has ended the worker, and all requests are answered
}

func hello(w http.ResponseWriter, r *http.Request) {
	fmt.Printf("%s %s\n", r.Method, r.URL.Path) // to the site's log
	fmt.Fprintf(w, "Hello, %s\n", r.Header.Get("X-Forwarded-For"))
}

// The supervisor starts the program, sends it the requests of the site, and ends it. Here
// the example does so in its place.
func ExampleServe() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	lines := make(chan string, 10)
	site := goapp.New(goapp.Options{
		Site: "hello", Path: "/proc/self/exe", Env: []string{"WORKER_TEST_PROGRAM=hello"}, SocketDir: dir,
		Output: func(_, line string) { lines <- line },
	})
	w, err := site.Launch(context.Background(), "hello/1")
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()

	r := httptest.NewRequest("GET", "http://hello.example.com/", nil)
	r.Header.Set("X-Forwarded-For", "192.0.2.1") // the visitor
	answer, err := w.RoundTrip(r)
	if err != nil {
		log.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(answer.Status, ": ", string(body))
	fmt.Println("log:", <-lines)

	w.Stop(10 * time.Second)
	fmt.Println("log:", <-lines)
	fmt.Println(w.Exit())
	// Output:
	// 200 OK: Hello, 192.0.2.1
	// log: GET /
	// log: bye
	// exit status 0
}
