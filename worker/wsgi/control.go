package wsgi

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// maxMessage limits what a zygote may answer.
const maxMessage = 16 << 20

// siteCommand is the command "site" or "worker" of a project zygote.
type siteCommand struct {
	Cmd    string       `json:"cmd"`
	Config zygoteConfig `json:"config"`
}

// forkCommand is the command "fork" of a site zygote.
type forkCommand struct {
	Cmd    string `json:"cmd"`
	Worker string `json:"worker"`
}

// forkAnswer is the answer to every command that forks. Exactly one field is set.
type forkAnswer struct {
	PID     int      `json:"pid"`
	Hazards []string `json:"unsafe"` // why the zygote is not fork-safe now
	Error   string   `json:"error"`
}

// socketPair returns both ends of a control socket: ours, and the one that a
// zygote inherits.
func socketPair() (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a control socket: %w", err)
	}
	theirs = os.NewFile(uintptr(fds[1]), "control")
	f := os.NewFile(uintptr(fds[0]), "control")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return c.(*net.UnixConn), theirs, nil
}

// send writes one message: a length of four bytes, then JSON. Descriptors travel
// with the first byte (SCM_RIGHTS, unix(7)).
func send(c *net.UnixConn, v any, files []*os.File) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	b = append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
	var rights []byte
	if len(files) > 0 {
		fds := make([]int, len(files))
		for i, f := range files {
			fds[i] = int(f.Fd())
		}
		rights = unix.UnixRights(fds...)
	}
	n, _, err := c.WriteMsgUnix(b, rights, nil)
	if err != nil {
		return err
	}
	_, err = c.Write(b[n:])
	return err
}

// receive reads one message into v.
func receive(c *net.UnixConn, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("it has exited")
		}
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxMessage {
		return fmt.Errorf("its answer has %d bytes, more than %d", n, maxMessage)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c, b); err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}
