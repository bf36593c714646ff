package process

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// TestMain lets this binary play a Go program.
func TestMain(m *testing.M) {
	switch do := os.Getenv("PROCESS_TEST_DO"); do {
	case "":
	case "replace":
		replaceMyself()
	case "orphan":
		beOrphan()
	default:
		program(do)
	}
	os.Exit(m.Run())
}

func program(do string) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGUSR1)
	fmt.Println("ready")
	<-told
	switch do {
	case "grow":
		kept := map[int][]byte{}
		for i := 0; ; i++ {
			kept[i] = make([]byte, mb)
		}
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "panic":
		panic("no more")
	}
	fmt.Println("out of memory") // said is not died
	os.Exit(goFatal)
}
