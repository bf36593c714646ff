package main

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/net/websocket"

	"github.com/multisite/multisite/worker"
)

// echo leaves HTTP, if the client wants to, for a protocol in which each byte comes back. At
// the end of the worker it says goodbye, unless ?deaf=1.
func echo(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" {
		hello(w, r)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nX-Path: %s\r\n\r\n", r.Header.Get("Upgrade"), r.RequestURI)
	ended := make(chan struct{})
	defer close(ended)
	if r.FormValue("deaf") == "" {
		go func() {
			select {
			case <-worker.Draining(r.Context()):
				fmt.Fprintln(conn, "goodbye")
				conn.Close()
			case <-ended:
			}
		}()
	}
	_, _ = io.Copy(conn, rw) // ends with the connection
}

// socket is a WebSocket that sends each message back, and closes with status 1001 at the end
// of the worker.
func socket(ws *websocket.Conn) {
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-worker.Draining(ws.Request().Context()):
			_ = ws.WriteClose(1001) // "going away"; the client may be gone
			_ = ws.SetReadDeadline(time.Now().Add(time.Second))
		case <-ended:
		}
	}()
	for {
		var message string
		if err := websocket.Message.Receive(ws, &message); err != nil {
			return
		}
		_ = websocket.Message.Send(ws, message) // the next Receive notices
	}
}
