package config

import "fmt"

const (
	lowestPriority = 19 // nice(2)
	leastStack     = 32 << 10
)

// readLimits reads what bounds a worker and what a client may take. 0 is no limit.
func (d *draft) readLimits() {
	t := d.table
	t.Int("maximum_requests", &d.MaximumRequests, 0)
	t.Duration("restart_interval", &d.RestartInterval)
	t.Duration("cpu_time_limit", &d.CPUTimeLimit)
	t.Size("memory_limit", &d.MemoryLimit)
	t.Size("memory_limit_hard", &d.MemoryLimitHard)
	if t.Int("cpu_priority", &d.CPUPriority, -20) && d.CPUPriority > lowestPriority {
		t.Problem("cpu_priority", fmt.Sprintf("must be at most %d, not %d", lowestPriority, d.CPUPriority), "19 waits for everybody else, -20 for nobody")
	}
	if t.Size("stack_size", &d.StackSize) && d.StackSize != 0 && d.StackSize < leastStack {
		t.Problem("stack_size", "must be at least 32KiB", "")
	}
	t.Int("max_clients_per_ip", &d.MaxClientsPerIP, 0)
	t.Int("tasks_limit", &d.TasksLimit, 0)
}

// checkLimits checks those that must fit together, whichever table says them.
func (d *draft) checkLimits() {
	if d.MemoryLimit == 0 || d.MemoryLimitHard == 0 || d.MemoryLimit < d.MemoryLimitHard {
		return
	}
	d.table.Problem("memory_limit", "must be less than memory_limit_hard", "a worker over the first is replaced, before it meets the second")
}
