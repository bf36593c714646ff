package supervisor

import (
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/multisite/multisite/supervisor/status"
	"github.com/multisite/multisite/worker/process"
)

// measures keeps what was read of the memory of processes. Reading one takes the kernel a
// millisecond, more where it is large, which those who watch need not pay each time.
type measures struct {
	mu sync.Mutex
	// mu protects all below. The maps do not change any more.
	known   map[int]measure // by pid
	parents map[int]int
	walked  time.Time // when parents was read
}

// mostDepth bounds the ancestors of a process that are looked at: a pid that was used
// again while they were read could make a circle.
const mostDepth = 100

type measure struct {
	at     time.Time
	memory process.Memory
}

// look is what is read for one status. Its zero value reads everything.
type look struct {
	from  time.Time // what was read before is read again
	known map[int]measure

	mu sync.Mutex
	// mu protects seen.
	seen map[int]measure
}

// look returns a look that takes what was read up to maxAge ago.
func (m *measures) look(maxAge time.Duration) *look {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &look{from: time.Now().Add(-maxAge), known: m.known}
}

// keep keeps what a look has seen, and nothing else.
func (m *measures) keep(l *look) {
	l.mu.Lock()
	seen := l.seen
	l.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known = seen
}

// tree returns the parent of every process, as l allows.
func (m *measures) tree(l *look) map[int]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.walked.Before(l.from) || m.parents == nil {
		m.parents, m.walked = process.Parents(), time.Now()
	}
	return m.parents
}

// read reads processes, as many at the same time as there are processors.
func (l *look) read(pids []int) {
	todo := make(chan int)
	var readers sync.WaitGroup
	for range min(len(pids), runtime.GOMAXPROCS(0)) {
		readers.Go(func() {
			for pid := range todo {
				l.memory(pid)
			}
		})
	}
	for _, pid := range pids {
		todo <- pid
	}
	close(todo)
	readers.Wait()
}

// memory returns the memory of a process; none if it has exited, or pid is 0.
func (l *look) memory(pid int) process.Memory {
	if pid == 0 {
		return process.Memory{}
	}
	l.mu.Lock()
	m, seen := l.seen[pid]
	l.mu.Unlock()
	if seen {
		return m.memory
	}
	m, known := l.known[pid]
	if !known || m.at.Before(l.from) {
		m.at = time.Now()
		m.memory = memoryOfProcess(pid)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		l.seen = map[int]measure{}
	}
	l.seen[pid] = m
	return m.memory
}

// addOthers adds the memory of processes that st does not name: what sites have started,
// and zygotes that several sites share. zygotes are those of the first sites of st.
func (s *Supervisor) addOthers(st *status.Status, zygotes []int, l *look) {
	const nobody = -1
	owners := map[int]int{os.Getpid(): nobody} // the site, by the pids of its own
	for i, site := range st.Sites {
		for _, pid := range pidsOf(site) {
			owners[pid] = i
		}
		if i < len(zygotes) {
			owners[zygotes[i]] = i
		}
	}
	delete(owners, 0)
	others := heirs(s.measures.tree(l), owners)
	l.read(slices.Collect(maps.Keys(others)))
	for pid, i := range others {
		m := l.memory(pid)
		if i == nobody {
			st.Supervisor.Others = st.Supervisor.Others.Add(memory(m))
			continue
		}
		sum := &st.Sites[i].Memory
		sum.Memory = sum.Memory.Add(memory(m))
		sum.OthersPSS += m.PSS
	}
}

// heirs returns the processes that descend from one with an owner and have none, with the
// nearest owner.
func heirs(parents, owners map[int]int) map[int]int {
	found := map[int]int{}
	for pid := range parents {
		if _, owned := owners[pid]; owned {
			continue
		}
		for up, n := parents[pid], 0; up > 1 && n < mostDepth; up, n = parents[up], n+1 {
			if owner, owned := owners[up]; owned {
				found[pid] = owner
				break
			}
		}
	}
	return found
}

// pidsOf returns the processes that the status of a site names.
func pidsOf(site status.Site) (pids []int) {
	for _, w := range site.Workers {
		pids = append(pids, w.PID)
	}
	for _, v := range site.Services {
		pids = append(pids, v.PID)
		if v.Old != nil {
			pids = append(pids, v.Old.PID)
		}
	}
	for _, c := range site.Cron {
		pids = append(pids, c.PID)
	}
	return pids
}
