package apps

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/multisite/multisite/apps/auth"
)

func superuserFlags(flags *flag.FlagSet) {
	flags.String("username", "", "")
	flags.String("email", "", "")
}

func createSuperuser(ctx context.Context, c *command, flags *flag.FlagSet) error {
	name, email := flags.Lookup("username").Value.String(), flags.Lookup("email").Value.String()
	in := bufio.NewReader(c.stdin)
	if name == "" {
		if _, onTerminal := terminal(c.stdin); !onTerminal {
			return usageError{"createsuperuser: no user name", "give --username NAME"}
		}
		_, _ = fmt.Fprint(c.stderr, "User name: ")
		line, err := in.ReadString('\n')
		if err != nil {
			return fmt.Errorf("read user name: %w", err)
		}
		name = strings.TrimSpace(line)
	}
	if err := auth.CheckName(name); err != nil { // before the password is typed
		return err
	}
	password, err := readPassword(c, in, name)
	if err != nil {
		return err
	}
	if err := auth.CreateSuperuser(ctx, c.db, name, email, password); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.stdout, "Superuser %s created.\n", name)
	return err
}

func changePassword(ctx context.Context, c *command, flags *flag.FlagSet) error {
	user, err := auth.ByName(ctx, c.db, flags.Arg(0))
	if errors.Is(err, auth.ErrNoUser) {
		return fmt.Errorf("there is no user %q", flags.Arg(0))
	}
	if err != nil {
		return err
	}
	password, err := readPassword(c, bufio.NewReader(c.stdin), user.Name)
	if err != nil {
		return err
	}
	if _, err := auth.SetPassword(ctx, c.db, user, password); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.stdout, "Password of %s changed.\n", user.Name)
	return err
}

// readPassword asks twice at a terminal, without echo. It reads one line if the input is
// not a terminal.
func readPassword(c *command, in *bufio.Reader, name string) (string, error) {
	fd, onTerminal := terminal(c.stdin)
	if !onTerminal {
		line, err := in.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read password: %w", err)
		}
		password := strings.TrimRight(line, "\r\n")
		return password, auth.CheckPassword(name, password)
	}
	password, err := ask(c, fd, "Password: ")
	if err != nil {
		return "", err
	}
	if err := auth.CheckPassword(name, password); err != nil {
		return "", err
	}
	again, err := ask(c, fd, "Password again: ")
	if err == nil && again != password {
		err = errors.New("the two passwords are not the same")
	}
	return password, err
}

// ask prompts for a password and reads it without echo.
func ask(c *command, fd int, prompt string) (string, error) {
	_, _ = fmt.Fprint(c.stderr, prompt)
	typed, err := term.ReadPassword(fd)
	_, _ = fmt.Fprintln(c.stderr)
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	return string(typed), nil
}

// terminal returns the file descriptor of stdin, and whether it is a terminal.
func terminal(stdin io.Reader) (fd int, is bool) {
	file, ok := stdin.(*os.File)
	if !ok {
		return 0, false
	}
	return int(file.Fd()), term.IsTerminal(int(file.Fd()))
}
