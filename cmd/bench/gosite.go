package main

import (
	"context"
	"fmt"
)

// goSite sends requests to a Go site through the front door and on its worker's own socket,
// alternately and one at a time, with the same client code.
func (b *bench) goSite(ctx context.Context, r *report) error {
	sites := []site{{name: "go", host: "subdomain1.localhost", pages: []page{{"/", "<html"}}}}
	toml := fmt.Sprintf("listen = \"127.0.0.1:0\"\n[site.go]\nserver_name = %q\nsettings = \"builtin:subdomain1\"\n", sites[0].host)
	m, err := b.startMultisite(ctx, toml, sites)
	if err != nil {
		return err
	}
	defer m.end()
	st, err := m.client.Status(ctx)
	if err != nil {
		return err
	}
	turns, requests := 20, 500
	if b.quick {
		turns, requests = 4, 200
	}
	var door, socket loaded
	for range turns {
		for addr, sum := range map[string]*loaded{m.addr: &door, st.Sites[0].Workers[0].Socket: &socket} {
			sum.add(load{addr: addr, host: sites[0].host, pages: sites[0].pages, connections: 1, requests: requests}.run(ctx))
		}
	}
	t := r.table("A Go site, one connection", "way", "p50, µs", "p90, µs", "p99, µs", "wrong answers")
	for _, way := range []struct {
		name string
		got  loaded
	}{{"through the front door", door}, {"on the worker's socket", socket}} {
		ms := milliseconds(way.got.times)
		t.row(way.name, micros(quantile(ms, 0.5)), micros(quantile(ms, 0.9)), micros(quantile(ms, 0.99)), way.got.bad)
	}
	doors, sockets := milliseconds(door.times), milliseconds(socket.times)
	t.row("the front door adds", micros(quantile(doors, 0.5)-quantile(sockets, 0.5)),
		micros(quantile(doors, 0.9)-quantile(sockets, 0.9)), micros(quantile(doors, 0.99)-quantile(sockets, 0.99)), "")
	return ctx.Err()
}

// micros converts milliseconds to a figure in microseconds.
func micros(ms float64) figure { return figure{rounds: []float64{ms * 1000}} }
