package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// busyConnections is the default number of clients.
const busyConnections = 16

func (b *bench) throughputCommand() *cobra.Command {
	return b.command("throughput", "Requests per second beside the peers: a Django page, and a bare WSGI application",
		func(ctx context.Context, r *report) error {
			return b.races(ctx, r, b.djangoRace(busyConnections), b.bareRace(busyConnections))
		})
}

func (b *bench) latencyCommand() *cobra.Command {
	return b.command("latency", "How long an answer takes beside the peers, and what the front door adds to a Go site",
		func(ctx context.Context, r *report) error {
			return errors.Join(b.races(ctx, r, b.djangoRace(1), b.bareRace(1)), b.goSite(ctx, r))
		})
}

// lapTime returns how long one contender is measured in one round.
func (b *bench) lapTime() time.Duration {
	if b.quick {
		return time.Second
	}
	return 5 * time.Second
}

// races runs each race with multisite and all installed peers.
func (b *bench) races(ctx context.Context, r *report, races ...race) error {
	p, err := b.newProject(ctx, b.python())
	if err != nil {
		return err
	}
	r.note("multisite runs %s. Access logs are on everywhere, written in batches.", p.version)
	if _, err := lookPath("wrk"); err != nil {
		r.note("Load by the program's own clients: wrk is not installed.")
	} else {
		r.note("Load by wrk, one thread, on the same machine.")
	}
	contenders := append([]contender{shared}, b.peers(ctx, r, p)...)
	for _, x := range races {
		x.contenders, x.rounds, x.each = contenders, b.roundsOr(5), b.lapTime()
		if err := b.race(ctx, r, p, x); err != nil {
			return err
		}
	}
	return nil
}

// djangoRace requests hello through the article's middleware, from five workers.
func (b *bench) djangoRace(connections int) race {
	return race{
		title: fmt.Sprintf("A Django page, 5 workers, %s", counted(connections, "connection")),
		sites: djangoSites(1, 5), page: helloPage(1), connections: connections,
	}
}

// bareRace requests an answer without any framework, from two workers.
func (b *bench) bareRace(connections int) race {
	bare := bareSite(2)
	return race{
		title: fmt.Sprintf("A bare WSGI application, 2 workers, %s", counted(connections, "connection")),
		sites: []site{bare}, page: bare.pages[0], connections: connections,
	}
}

func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
