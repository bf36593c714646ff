package pool_test

import (
	"testing"

	"github.com/multisite/multisite/supervisor/pool"
)

func BenchmarkPool_ClaimRelease(b *testing.B) {
	benchmarks := []struct {
		name    string
		workers int
		threads int
		clients int // for each CPU
	}{
		{"uncontended", 5, 1, 0},
		{"contended", 5, 100, 8},
		{"queued", 5, 1, 8},
		{"of 10", 10, 1, 0},
		{"of 100", 100, 1, 0},
		{"of 1000", 1000, 1, 0},
	}
	for _, bb := range benchmarks {
		b.Run(bb.name, func(b *testing.B) {
			s := fixed(bb.workers)
			s.Threads = bb.threads
			p := startReady(b, s, &crew{})
			b.ReportAllocs()
			if bb.clients == 0 {
				for b.Loop() {
					claimAndRelease(b, p.Pool)
				}
				return
			}
			b.SetParallelism(bb.clients)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					claimAndRelease(b, p.Pool)
				}
			})
		})
	}
}

func claimAndRelease(b *testing.B, p *pool.Pool) {
	c, err := p.Claim(b.Context(), "GET /")
	if err != nil {
		b.Error(err)
		return
	}
	c.Release()
}
