package config

import "fmt"

const (
	lowestPriority = 19 // nice(2)
	leastStack     = 32 << 10
)

func (d *siteDraft) readCPUPriority() {
	if d.table.Int("cpu_priority", &d.CPUPriority, -20) && d.CPUPriority > lowestPriority {
		d.table.Problem("cpu_priority", fmt.Sprintf("must be at most %d, not %d", lowestPriority, d.CPUPriority), "19 waits for everybody else, -20 for nobody")
	}
}

func (d *siteDraft) readStackSize() {
	if d.table.Size("stack_size", &d.StackSize) && d.StackSize != 0 && d.StackSize < leastStack {
		d.table.Problem("stack_size", "must be at least 32KiB", "")
	}
}

// checkLimits checks the limits that must fit together. They may come from different tables.
func (d *siteDraft) checkLimits() {
	if d.MemoryLimit == 0 || d.MemoryLimitHard == 0 || d.MemoryLimit < d.MemoryLimitHard {
		return
	}
	d.table.Problem("memory_limit", "must be less than memory_limit_hard", "a worker over the first is replaced, before it meets the second")
}
