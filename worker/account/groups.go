package account

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// setThreadGroups calls setgroups(2) for this thread only; package syscall does so for all
// threads.
func setThreadGroups(groups []int) error {
	ids := make([]uint32, len(groups)+1) // one more, so that there is a first one
	for i, gid := range groups {
		ids[i] = uint32(gid)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&ids[0])), 0); errno != 0 {
		return errno
	}
	return nil
}
