// Command goapp is a site in Go: build it and name the program in sites.toml,
// app = "testdata/goapp/goapp".
package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/websocket"

	"github.com/multisite/multisite/worker"
)

func main() {
	fmt.Println("goapp: starting")
	http.HandleFunc("/", hello)
	http.HandleFunc("/sleep", sleep)
	http.HandleFunc("/hold", hold)
	http.HandleFunc("/whoami", whoami)
	http.HandleFunc("/stream", stream)
	http.HandleFunc("/leak", leak)
	http.HandleFunc("/echo", echo)
	http.Handle("/websocket", websocket.Handler(socket))
	http.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) { os.Exit(3) })
	http.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("as asked") })
	worker.Serve(http.DefaultServeMux)
	fmt.Println("goapp: bye")
}

func hello(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "Hello from %s, process %d, for %s\n", r.Host, os.Getpid(), r.RequestURI)
}

// sleep answers after ?ms= milliseconds.
func sleep(w http.ResponseWriter, r *http.Request) {
	ms, _ := strconv.Atoi(r.FormValue("ms")) // 0: at once
	time.Sleep(time.Duration(ms) * time.Millisecond)
	hello(w, r)
}

// hold answers when the file ?file= is gone.
func hold(w http.ResponseWriter, r *http.Request) {
	for {
		if _, err := os.Stat(r.FormValue("file")); err != nil {
			hello(w, r)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// leaked is what leak keeps for as long as the process lives.
var leaked struct {
	sync.Mutex
	all [][]byte
}

// leak keeps ?mb= megabytes, touched so that they count as resident.
func leak(w http.ResponseWriter, r *http.Request) {
	mb, _ := strconv.Atoi(r.FormValue("mb"))
	leaked.Lock()
	defer leaked.Unlock()
	leaked.all = append(leaked.all, bytes.Repeat([]byte("x"), mb<<20))
	hello(w, r)
}

// stream sends a line ten times a second until ?n= were sent.
func stream(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.FormValue("n"))
	for i := range max(n, 10) {
		fmt.Fprintln(w, "line", i)
		http.NewResponseController(w).Flush()
		select {
		case <-time.After(100 * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
}
