package capacity

import (
	"os"
	"strings"
	"testing"

	"github.com/multisite/multisite/worker/process"
)

func TestRoom_Refuse(t *testing.T) {
	t.Parallel()
	each := Needs{Memory: 20 * megabyte, Tasks: 2, Files: 4}
	for _, tt := range []struct {
		name    string
		room    room
		n, have int
		want    string
	}{
		{"no limits", room{}, 1000, 0, ""},
		{"just enough memory", room{memory: process.Room{Left: 100 * megabyte, By: "memory"}}, 5, 0, ""},
		{"one more", room{memory: process.Room{Left: 100 * megabyte, By: "memory"}}, 6, 0,
			"6 workers are too many: this machine has memory for about 5 (each 20.0 MB)"},
		{"beside what it has", room{memory: process.Room{Left: 100 * megabyte, By: "memory"}}, 8, 3, ""},
		{"tasks", room{tasks: process.Room{Left: 7, By: "RLIMIT_NPROC 400"}}, 4, 0,
			"4 workers are too many: this machine has processes for about 3 (RLIMIT_NPROC 400)"},
		{"files", room{files: process.Room{Left: 8, By: "RLIMIT_NOFILE 9"}}, 3, 0,
			"3 workers are too many: this machine has open files for about 2 (RLIMIT_NOFILE 9)"},
		{"less than nothing is left", room{tasks: process.Room{Left: -5, By: "pids.max 9"}}, 3, 2,
			"3 workers are too many: this machine has processes for about 2 (pids.max 9)"},
		{"all limits are named", room{process.Room{Left: 40 * megabyte, By: "memory"}, process.Room{Left: 100, By: "a"}, process.Room{Left: 100, By: "b"}}, 3, 0,
			"3 workers are too many: this machine has memory for about 2 (each 20.0 MB), processes for about 50 (a), open files for about 25 (b)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.room.refuse(tt.n, tt.have, each); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestNeeds_OfThreads(t *testing.T) {
	t.Parallel()
	if n := GoNeeds(); n.Memory < megabyte || n.Tasks < 2 || n.Files < 2 {
		t.Errorf("a Go worker takes %+v", n)
	}
	one, four := PythonNeeds(1), PythonNeeds(4)
	if one.Tasks != 1 || four.Tasks != 5 {
		t.Errorf("one thread is %d tasks, four are %d, want 1 and 5", one.Tasks, four.Tasks)
	}
	if one.Files >= four.Files {
		t.Error("threads have no connections")
	}
}

// TestNeeds_Measured raises what is known of every worker to what some of them take.
func TestNeeds_Measured(t *testing.T) {
	t.Parallel()
	few := Needs{Memory: 1, Tasks: 1, Files: 7}
	got := few.Measured([]int{os.Getpid()})
	if got.Memory < megabyte || got.Tasks < 2 || got.Files != 7 {
		t.Errorf("got %+v of this process, from %+v", got, few)
	}
	many := Needs{Memory: 1 << 60, Tasks: 1 << 30}
	if got := many.Measured([]int{os.Getpid()}); got != many {
		t.Errorf("got %+v, want no less than %+v", got, many)
	}
	const none = 1 << 30 // no process has this number
	if got := few.Measured([]int{none}); got.Memory != few.Memory {
		t.Errorf("got %+v of a process that has exited", got)
	}
}

// TestMachine_RefusesWhatNoMachineHas, and what a site's own limit excludes.
func TestMachine_Refuse(t *testing.T) {
	t.Parallel()
	m := NewMachine()
	s := Site{UID: os.Geteuid()}
	if why := m.Refuse(s, 1, PythonNeeds(1)); why != "" {
		t.Errorf("one worker: %s", why)
	}
	if why := m.Refuse(s, 1, Needs{Memory: 1 << 60, Tasks: 1, Files: 1}); !strings.HasPrefix(why, "1 workers are too many: this machine has memory for about 0 ") {
		t.Errorf("a worker of a billion GB: %q", why)
	}
	if why := RefuseNow(s, 1, 0, Needs{Memory: 1 << 60, Tasks: 1, Files: 1}); !strings.Contains(why, "memory for about 0 ") {
		t.Errorf("now: %q", why)
	}
	if why := RefuseNow(s, 3, 3, Needs{Memory: 1 << 60, Tasks: 1, Files: 1}); why != "" {
		t.Errorf("what it has: %q", why)
	}
}

func TestRoomForOne(t *testing.T) {
	t.Parallel()
	if err := RoomForOne(Needs{Tasks: 1}); err != nil {
		t.Errorf("one task: %v", err)
	}
	if process.TaskRoom(process.FreeNow, os.Geteuid(), 0).By == "" {
		t.Skip("this machine has no limit of tasks")
	}
	if err := RoomForOne(Needs{Tasks: 1 << 40}); err == nil || !strings.HasPrefix(err.Error(), "no room for another worker: ") {
		t.Errorf("a trillion tasks: %v", err)
	}
}
