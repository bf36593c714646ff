// Command hello is a site in Go: sites.toml names the program that it is built into.
package main

import (
	"fmt"
	"net/http"
	"os"

	"github.com/multisite/multisite/worker"
)

func main() {
	http.HandleFunc("/", hello)
	worker.Serve(http.DefaultServeMux)
}

func hello(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "Hello from process %d: %s%s\n", os.Getpid(), r.Host, r.URL.Path)
}
