package remote_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/remote"
	"github.com/hooktroupe/hooktroupe/handler/remote/link"
	"github.com/hooktroupe/hooktroupe/handler/remote/linktest"
)

// memberVariable makes this program a member; it holds a memberConfig.
const memberVariable = "HOOKTROUPE_TEST_MEMBER"

func TestMain(m *testing.M) {
	if c := os.Getenv(memberVariable); c != "" {
		os.Exit(runMember(c))
	}
	os.Exit(m.Run())
}

// memberConfig is what a test chooses of a member.
type memberConfig struct {
	Daemon, Kind string
	Credits      int
	Drain        time.Duration
	TLS          link.TLS
}

// runMember serves until SIGTERM and says on stdout what happens.
func runMember(text string) int {
	var c memberConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		fmt.Println(err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	err := remote.Serve(ctx, remote.Config{
		Daemon: c.Daemon, Listen: "127.0.0.1:0", Kind: c.Kind, Credits: c.Credits, Drain: c.Drain, TLS: c.TLS,
		Handler: handler.Func(work), Log: quiet, Registered: func() { fmt.Println("registered") },
	})
	switch {
	case errors.Is(err, remote.ErrRefused):
		fmt.Println("refused")
		return 3
	case err != nil:
		fmt.Println(err)
		return 1
	}
	fmt.Println("drained")
	return 0
}

// work does what the task's event type says.
func work(ctx context.Context, t *handler.Task) ([]byte, error) {
	fmt.Println("running", t.ID)
	defer fmt.Println("ended", t.ID)
	switch t.EventType {
	case "stuck":
		<-ctx.Done()
		fmt.Println("cause:", context.Cause(ctx))
		return nil, context.Cause(ctx)
	case "slow":
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		return []byte(line), err
	case "panic":
		panic("no good")
	case "exit":
		runtime.Goexit()
	case "discard":
		return nil, handler.Discard(errors.New("no good"))
	case "retry":
		return nil, handler.RetryAfter(errors.New("no good"), time.Minute)
	}
	seen, err := json.Marshal(t)
	if len(seen) > handler.MaxResultBytes {
		seen = nil
	}
	return seen, err
}

// process is a member at work.
type process struct {
	t       *testing.T
	command *exec.Cmd
	stdin   io.Writer
	lines   chan string // what it says; closed at its end
	exit    chan error  // how it ended, once
}

// launch starts a member, which is killed when the test ends.
func launch(t *testing.T, c memberConfig) *process {
	t.Helper()
	config, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, command: exec.Command(os.Args[0]), lines: make(chan string, 4096), exit: make(chan error, 1)}
	p.command.Env = append(os.Environ(), memberVariable+"="+string(config))
	p.command.Stderr = os.Stderr
	if p.stdin, err = p.command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process
		defer close(p.lines)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			p.lines <- s.Text()
		}
		p.exit <- p.command.Wait()
	}()
	t.Cleanup(func() { _ = p.command.Process.Kill() })
	return p
}

// says waits for a line that begins so, and drops those before it.
func (p *process) says(prefix string) string {
	p.t.Helper()
	timeout := time.After(linktest.Bound)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("the member ended without saying %q", prefix)
			}
			if strings.HasPrefix(line, prefix) {
				return line
			}
		case <-timeout:
			p.t.Fatalf("the member did not say %q", prefix)
		}
	}
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.command.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// exits waits for the end and checks the exit code.
func (p *process) exits(code int) {
	p.t.Helper()
	select {
	case err := <-p.exit:
		if got := p.command.ProcessState.ExitCode(); got != code {
			p.t.Errorf("ended with %v, exit code %d; want %d", err, got, code)
		}
	case <-time.After(linktest.Bound):
		p.t.Fatal("the member did not end")
	}
}
