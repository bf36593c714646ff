package static

import "sync"

const (
	diskTurns    = 4  // of one site
	allDiskTurns = 64 // of all sites: each holds a thread while it waits for a disk
)

// disk runs what may block on a disk. Each site has few turns at a time: the others wait
// in a list, so that a site whose disk hangs takes no more threads than those.
type disk struct {
	turns chan struct{} // has an element for each turn that is taken

	mu sync.Mutex
	// mu protects all below
	sites map[string]*jobs // by name; only those with a job
}

// jobs are the jobs of one site.
type jobs struct {
	running int
	waiting []func()
}

func newDisk() *disk {
	return &disk{turns: make(chan struct{}, allDiskTurns), sites: map[string]*jobs{}}
}

// run lets a goroutine call job when it is the site's turn.
func (d *disk) run(site string, job func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	j := d.sites[site]
	if j == nil {
		j = &jobs{}
		d.sites[site] = j
	}
	j.waiting = append(j.waiting, job)
	if j.running < diskTurns {
		j.running++
		go d.work(site, j) // ends when no job waits
	}
}

func (d *disk) work(site string, j *jobs) {
	for {
		job := d.next(site, j)
		if job == nil {
			return
		}
		d.turns <- struct{}{}
		job()
		<-d.turns
	}
}

// next returns the job that has waited longest, or nil if there is none.
func (d *disk) next(site string, j *jobs) func() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(j.waiting) == 0 {
		if j.running--; j.running == 0 {
			delete(d.sites, site)
		}
		return nil
	}
	job := j.waiting[0]
	j.waiting = j.waiting[1:]
	return job
}
