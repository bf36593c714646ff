package main

import (
	_ "embed" // for rowsPy
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed rows.py
var rowsPy string

// busyConnections is the default number of clients.
const busyConnections = 16

// row is one line of the tables: what clients request, and what is measured.
type row struct {
	name        string // what --rows chooses
	title       string
	request     request
	connections int
	kind        kind
}

// kind says what is measured.
type kind int

const (
	answersPerSecond kind = iota
	uploads               // bytes for each second, and memory
	stalledReaders        // memory
)

// setup is what servers are started with, and the rows that are measured with them.
type setup struct {
	table string
	peers []peer
	site  site
	rows  []row
}

// pythonTable is the title of the table that most setups share.
const pythonTable = "Python sites"

// setups returns all rows. Files of the static ones are in dir, and program is the Go site.
func setups(connections int, dir, program string) []setup {
	python := rowsSite(2)
	trusted, limited, threaded := python, python, python
	trusted.trusted, limited.perAddress, threaded.threads = true, 1000, 4
	files, goes := python, python
	files.static, files.pages = dir, []page{{"/static/1000", ""}}
	goes.program, goes.processes = program, 1
	secureDjango := djangoSites(1, 5)[0]
	secure := python
	secureDjango.tls, secure.tls = dir, dir
	small := get("get", "", 1000, connections)
	forwarded := small
	forwarded.request.path = "/forwarded/1000"
	forwarded.request.lines = []string{"X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https"}
	as := func(r row, name, title string) row {
		r.name, r.title = name, title
		return r
	}
	return []setup{
		{pythonTable, pythonPeers(), djangoSites(1, 5)[0], []row{exact("django", "Django page, 5 workers", helloPage(1), connections)}},
		{pythonTable, pythonPeers(), bareSite(2), []row{exact("bare", "bare application", bareSite(2).pages[0], connections)}},
		{pythonTable, pythonPeers(), python, pythonRows(connections)},
		{pythonTable, pythonPeers(), trusted, []row{as(forwarded, "trusted", "1 KB by a trusted proxy")}},
		{pythonTable, slices.DeleteFunc(pythonPeers(), func(p peer) bool { return !strings.HasPrefix(p.name, "nginx +") }),
			limited, []row{as(small, "limited", "1 KB, requests of an address limited")}},
		{pythonTable, pythonPeers(), threaded, []row{as(small, "threads", "1 KB, 4 threads")}},
		{"Static files", filePeers(), files, []row{
			static("1 KB", 1000, connections), static("100 KB", 100_000, connections), static("10 MB", 10_000_000, connections),
		}},
		{"TLS", pythonPeers()[:1], secureDjango, tlsRows(exact("", "Django page, 5 workers", helloPage(1), connections))},
		{"TLS", pythonPeers()[:1], secure, append(tlsRows(as(small, "", "1 KB")), handshakeRow(small))},
		{"A Go site", goPeers(), goes, []row{as(small, "go", "1 KB"), as(get("go", "", 100_000, connections), "go", "100 KB")}},
	}
}

func pythonRows(connections int) []row {
	closing := get("connection", "1 KB, a connection for each request", 1000, connections)
	closing.request.perConnection = true
	rows := []row{}
	for _, size := range []struct {
		title string
		bytes int
	}{
		{"10 B", 10}, {"1 KB", 1000}, {"20 KB", 20_000}, {"64 KB", 64_000}, {"66 KB", 66_000}, {"100 KB", 100_000},
		{"140 KB", 140_000}, {"200 KB", 200_000}, {"1 MB", 1_000_000},
	} {
		rows = append(rows, get("get", "GET: "+size.title, size.bytes, connections))
	}
	return append(rows,
		post("post", "POST: 2 KB", 2000, connections),
		post("post", "POST: 100 KB", 100_000, connections),
		row{"chunks", "3 KB in three chunks", request{path: "/chunks/3000", want: pattern(3000)}, connections, answersPerSecond},
		row{"chunked", "200 KB in pieces of 8 KB, of unknown length", request{path: "/pieces/200000", want: pattern(200_000)}, connections, answersPerSecond},
		closing,
		row{"upload", "100 MB, one at a time", post("", "", 100_000_000, 1).request, 1, uploads},
		row{"readers", "300 readers of 5 MB that do not read", get("", "", 5_000_000, 300).request, 300, stalledReaders},
	)
}

func get(name, title string, size, connections int) row {
	return row{name, title, request{path: fmt.Sprintf("/get/%d", size), want: pattern(size)}, connections, answersPerSecond}
}

func post(name, title string, size, connections int) row {
	want := fmt.Sprintf("%d bytes, right\n", size)
	return row{name, title, request{path: "/post/", body: pattern(size), want: []byte(want)}, connections, answersPerSecond}
}

func static(title string, size, connections int) row {
	return row{"static", title, request{path: fmt.Sprintf("/static/%d", size), want: pattern(size)}, connections, answersPerSecond}
}

// exact is a row of a page whose whole body is known.
func exact(name, title string, p page, connections int) row {
	return row{name, title, request{path: p.path, want: []byte(p.want)}, connections, answersPerSecond}
}

func rowsSite(processes int) site {
	return site{
		name: "rows", host: "rows.example.com", entry: "rows:application", processes: processes,
		pages: []page{{"/get/10", ""}},
	}
}

// writeFiles writes the files of the static rows, and the certificate of those with TLS.
func writeFiles(dir string) error {
	for _, size := range []int{1000, 100_000, 10_000_000} {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(size)), pattern(size), 0o644); err != nil {
			return err
		}
	}
	return writeCertificate(dir)
}

// choose returns the setups with only those rows that are named, or all for no names.
func choose(all []setup, names []string) ([]setup, error) {
	var chosen []setup
	var known []string
	for _, s := range all {
		var rows []row
		for _, r := range s.rows {
			if !slices.Contains(known, r.name) {
				known = append(known, r.name)
			}
			if len(names) == 0 || slices.Contains(names, r.name) {
				rows = append(rows, r)
			}
		}
		if s.rows = rows; len(rows) > 0 {
			chosen = append(chosen, s)
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("--rows: no row %q; there are %s", name, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}
