package status

import (
	"encoding/json"
	"testing"
	"time"
)

// TestStatus_JSON guards the contract of `multisite status --json`: names, order and
// units of its fields.
func TestStatus_JSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	m := Memory{PSS: 1, USS: 2, RSS: 3}
	got, err := json.MarshalIndent(Status{
		Supervisor: Supervisor{PID: 1, Version: "v1", Started: at, Listen: []string{"127.0.0.1:8080"}, ListenTLS: []string{"127.0.0.1:8443"}, Memory: m, Refused: map[int]int64{421: 3}},
		Sites: []Site{{
			Name: "blog", ServerName: "blog.example.com", Aliases: []string{}, Kind: "wsgi", State: "running", Generation: 4, Settings: "blog_settings",
			User: "www", Preload: "on", Warmup: []string{"/: 500"}, Processes: Processes{Desired: 2, Ready: 1}, Threads: 5,
			Memory:   SiteMemory{Memory: m, ZygotePSS: 4, Saved: 5},
			Requests: Requests{Total: 6, Active: 7, Queued: 8, Errors: 9, PerSecond: 0.5, P50: 0.005, P99: 1.5},
			Restarts: 1, LastExit: "exit", LastError: "error", Failed: &Failure{At: at, What: "reload", Error: "no"},
			SelfRoll: &SelfRoll{At: at, Paths: []string{"/"}, Saved: new(int64(9))},
			Workers:  []Worker{{ID: "blog/1", PID: 2, State: "ready", Socket: "1.sock", Started: at, Requests: 3, Active: 1, Memory: m}},
			Services: []Service{{Name: "celery", PID: 3, State: "stopping", StopBy: &at, Restarts: 1, Memory: m, LastExit: "exit", Old: &OldService{PID: 5, StopBy: at, Memory: m}}},
			Cron:     []Cron{{Name: "tidy", Schedule: "@daily", Next: at, PID: 4, Runs: 5, Skipped: 6, LastExit: "exit"}},
		}},
	}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != contract {
		t.Errorf("got\n%s\nwant\n%s", got, contract)
	}
}

func TestStatus_Total(t *testing.T) {
	t.Parallel()
	st := Status{
		Supervisor: Supervisor{Memory: Memory{PSS: 1, USS: 10, RSS: 100}},
		Sites: []Site{
			{Memory: SiteMemory{Memory: Memory{PSS: 2, USS: 20, RSS: 200}, ZygotePSS: 1}}, // the zygote is part of the sum
			{Services: []Service{{Memory: Memory{PSS: 4, USS: 40, RSS: 400}}, {Memory: Memory{PSS: 8, USS: 80, RSS: 800}, Old: &OldService{Memory: Memory{PSS: 16, USS: 160, RSS: 1600}}}}},
		},
	}
	if got, want := st.Total(), (Memory{PSS: 31, USS: 310, RSS: 3100}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

const contract = `{
 "supervisor": {
  "pid": 1,
  "version": "v1",
  "started": "2026-01-02T03:04:05Z",
  "listen": [
   "127.0.0.1:8080"
  ],
  "listen_tls": [
   "127.0.0.1:8443"
  ],
  "memory": {
   "pss": 1,
   "uss": 2,
   "rss": 3
  },
  "refused": {
   "421": 3
  },
  "failed": null
 },
 "sites": [
  {
   "name": "blog",
   "server_name": "blog.example.com",
   "aliases": [],
   "kind": "wsgi",
   "state": "running",
   "generation": 4,
   "settings": "blog_settings",
   "user": "www",
   "preload": "on",
   "warmup": [
    "/: 500"
   ],
   "processes": {
    "desired": 2,
    "ready": 1
   },
   "threads": 5,
   "memory": {
    "pss": 1,
    "uss": 2,
    "rss": 3,
    "zygote_pss": 4,
    "saved": 5
   },
   "requests": {
    "total": 6,
    "active": 7,
    "queued": 8,
    "errors": 9,
    "per_second": 0.5,
    "p50_seconds": 0.005,
    "p99_seconds": 1.5
   },
   "restarts": 1,
   "last_exit": "exit",
   "last_error": "error",
   "failed": {
    "at": "2026-01-02T03:04:05Z",
    "what": "reload",
    "error": "no"
   },
   "workers": [
    {
     "id": "blog/1",
     "pid": 2,
     "state": "ready",
     "socket": "1.sock",
     "started": "2026-01-02T03:04:05Z",
     "requests": 3,
     "active": 1,
     "memory": {
      "pss": 1,
      "uss": 2,
      "rss": 3
     }
    }
   ],
   "self_roll": {
    "at": "2026-01-02T03:04:05Z",
    "paths": [
     "/"
    ],
    "saved_bytes": 9
   },
   "services": [
    {
     "name": "celery",
     "pid": 3,
     "state": "stopping",
     "stop_by": "2026-01-02T03:04:05Z",
     "restarts": 1,
     "memory": {
      "pss": 1,
      "uss": 2,
      "rss": 3
     },
     "last_exit": "exit",
     "old": {
      "pid": 5,
      "stop_by": "2026-01-02T03:04:05Z",
      "memory": {
       "pss": 1,
       "uss": 2,
       "rss": 3
      }
     }
    }
   ],
   "cron": [
    {
     "name": "tidy",
     "schedule": "@daily",
     "next": "2026-01-02T03:04:05Z",
     "pid": 4,
     "stop_by": null,
     "runs": 5,
     "skipped": 6,
     "last_exit": "exit"
    }
   ]
  }
 ]
}`
