// Command benchsite is the Go site of the benchmark: a worker of multisite, or a server on the
// unix socket that its argument names.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"

	"github.com/multisite/multisite/worker"
)

func main() {
	http.HandleFunc("GET /get/{size}", get)
	if len(os.Args) < 2 {
		worker.Serve(http.DefaultServeMux)
		return
	}
	l, err := net.Listen("unix", os.Args[1])
	if err == nil {
		err = os.Chmod(os.Args[1], 0o666) // nginx runs as another user if root started it
	}
	if err == nil {
		err = http.Serve(l, nil)
	}
	log.Fatal(err)
}

// get answers like rows.py.
func get(w http.ResponseWriter, r *http.Request) {
	size, err := strconv.Atoi(r.PathValue("size"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(i % 251)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", fmt.Sprint(size))
	_, _ = w.Write(body) // the client has left
}
