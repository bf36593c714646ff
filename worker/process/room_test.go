package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestRoom_OfASmallLimit: the reserve is a part of a small limit, and there is none in a
// limit that applies only to other processes.
func TestRoom_OfASmallLimit(t *testing.T) {
	t.Parallel()
	const nobodys = 1<<31 - 5 // a user without processes
	if r := TaskRoom(FreeNow, nobodys, 40); r.Left != 40 || r.By != "tasks_limit 40" {
		t.Errorf("of another user's limit of 40: %+v", r)
	}
	for _, tt := range []struct{ of, want int64 }{{4, 1}, {100, 25}, {300, 64}, {1 << 22, 64}} {
		if got := taskReserve(tt.of); got != tt.want {
			t.Errorf("of %d %d are reserved, want %d", tt.of, got, tt.want)
		}
	}
}

// TestRoom_CacheOfFiles: the cache of files does not reduce the room of a control group, as
// the kernel frees it when processes need memory.
func TestRoom_CacheOfFiles(t *testing.T) {
	t.Parallel()
	if os.Getenv("PROCESS_TEST_CACHE") != "" { // this is the process in the group, which has written a file
		const limit = 200 * mb // of which a test with the race detector takes some
		if r := MemoryRoom(FreeNow); !strings.HasPrefix(r.By, "memory.limit") || r.Left > limit || r.Left < limit-90*mb {
			t.Errorf("got %+v with a file of 100 MB in the cache", r)
		}
		return
	}
	group := "/sys/fs/cgroup/memory/multisite-test-" + strconv.Itoa(os.Getpid())
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Skip("no control group of version 1 for memory can be made: ", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(group); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(filepath.Join(group, "memory.limit_in_bytes"), []byte(strconv.Itoa(200*mb)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `echo $$ > `+group+`/cgroup.procs && head -c 100M /dev/zero >"$PROCESS_TEST_CACHE" && exec "$@"`, "sh", os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "PROCESS_TEST_CACHE="+filepath.Join(t.TempDir(), "file"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestRoom_InTotal: what is in use is not counted. To count the tasks of a user takes time
// for each process, and sites.toml may have a thousand sites.
func TestRoom_InTotal(t *testing.T) {
	t.Parallel()
	used := func() int64 {
		t.Error("what is used was counted")
		return 0
	}
	if r := InTotal.room(40, used, "a limit"); r.Left != 40 || r.By != "a limit 40" {
		t.Errorf("got %+v", r)
	}
}
