package control

import "time"

// ServiceStatus describes a process that runs beside a site's workers.
type ServiceStatus struct {
	Name     string `json:"name"`
	PID      int    `json:"pid"` // 0: it does not run now
	State    string `json:"state"`
	Restarts int    `json:"restarts"`
	Memory   Memory `json:"memory"` // of the process itself, not of those it started
	LastExit string `json:"last_exit"`
}

// CronStatus describes a command that a site runs on a schedule.
type CronStatus struct {
	Name     string    `json:"name"`
	Schedule string    `json:"schedule"`
	Next     time.Time `json:"next"`
	PID      int       `json:"pid"` // of a run that goes on; 0: none
	Runs     int       `json:"runs"`
	Skipped  int       `json:"skipped"`
	LastExit string    `json:"last_exit"`
}
