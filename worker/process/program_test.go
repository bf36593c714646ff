package process

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// TestMain makes this binary the programs that the tests start.
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
	goOn := make(chan os.Signal, 1)
	signal.Notify(goOn, syscall.SIGUSR1)
	fmt.Println("ready")
	<-goOn
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
	fmt.Println("out of memory") // it says so but does not exit because of it
	os.Exit(goFatal)
}
