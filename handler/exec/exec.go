package exec

import (
	"bytes"
	"context"
	"fmt"
	"os"
	osexec "os/exec"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/internal/clock"
)

// maxStderrBytes bounds the tail of standard error that an error quotes. Escaped, it still fits handler.MaxErrorBytes.
const maxStderrBytes = handler.MaxErrorBytes / 5

// drainDelay bounds the wait for the outputs of a program that has ended, which a process outside its group may hold.
const drainDelay = time.Second

// Handler runs one program. It is safe for use by several goroutines.
type Handler struct {
	path      string // absolute
	args      []string
	dir       string
	base      []string // of the environment; read-only
	variables []string // that inputs may set
	inputs    func(*handler.Task) (Inputs, error)
	timeout   time.Duration
	timedOut  error // the cause when timeout ends a run
	grace     time.Duration
	maxOutput int
	discard   []int
	clock     clock.Clock
}

// Option changes how a Handler meets its surroundings; none is for the operator.
type Option func(*Handler)

// WithClock sets what measures KillGrace. The default is the clock of the machine.
func WithClock(c clock.Clock) Option { return func(h *Handler) { h.clock = c } }

// New makes a Handler from its configuration. It looks the program up and reads the daemon's environment, both once. A
// program that is not there or may not be run is an error, and every error names the key at fault.
func New(cfg Config, options ...Option) (*Handler, error) {
	cfg = cfg.WithDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	path, err := cfg.lookUp()
	if err != nil {
		return nil, err
	}
	path, args, err := cfg.limits().wrap(path, slices.Clone(cfg.Command))
	if err != nil {
		return nil, err
	}
	h := &Handler{
		path:      path,
		args:      args,
		dir:       cfg.Dir,
		base:      baseEnvironment(cfg, os.LookupEnv),
		variables: slices.Clone(cfg.Variables),
		inputs:    cfg.Inputs,
		timeout:   cfg.Timeout,
		timedOut:  fmt.Errorf("still running after %s: %w", cfg.Timeout, context.DeadlineExceeded),
		grace:     cfg.KillGrace,
		maxOutput: cfg.MaxOutputBytes,
		discard:   slices.Clone(cfg.DiscardCodes),
		clock:     clock.Real{},
	}
	for _, option := range options {
		option(h)
	}
	return h, nil
}

// ExitError is a program that ended by itself, or by a signal that was not ours, and did not succeed.
type ExitError struct {
	// Code is the exit code, or -1 after a signal.
	Code int
	// Signal is what killed it, or zero.
	Signal syscall.Signal
	// Stderr is the end of what it wrote to standard error, as it came; a few hundred bytes.
	Stderr []byte
}

// Error says how the program ended and quotes Stderr.
func (e *ExitError) Error() string {
	text := fmt.Sprintf("exit status %d", e.Code)
	if e.Signal != 0 {
		text = "killed by " + e.Signal.String()
	}
	return text + quoted(e.Stderr)
}

// quoted is the tail of an error message that shows standard error, if there was any.
func quoted(stderr []byte) string {
	stderr = bytes.TrimSpace(stderr)
	if len(stderr) == 0 {
		return ""
	}
	return fmt.Sprintf(": %q", stderr)
}

// Handle runs the program once; the package comment says which end is which outcome. When ctx ends first, the program is
// made to end too and the error wraps the cause. It keeps an OS thread for as long as the program runs.
func (h *Handler) Handle(ctx context.Context, t *handler.Task) ([]byte, error) {
	in, err := h.inputsOf(t)
	if err != nil {
		return nil, handler.Discard(err)
	}
	env, err := environment(ctx, h.base, h.variables, in.Variables, t)
	if err != nil {
		return nil, handler.Discard(err)
	}
	if h.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, h.timeout, h.timedOut)
		defer cancel()
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	stdout, stderr := &head{max: h.maxOutput}, &tail{max: maxStderrBytes}
	cmd := &osexec.Cmd{
		Path:        h.path,
		Args:        slices.Concat(h.args, in.Arguments),
		Env:         env,
		Dir:         h.dir,
		Stdin:       bytes.NewReader(t.Body),
		Stdout:      stdout,
		Stderr:      stderr,
		WaitDelay:   drainDelay,
		SysProcAttr: ownGroup(),
	}
	ended, err := h.run(ctx, cmd)
	switch {
	case err != nil:
		return nil, fmt.Errorf("run %s: %w", h.path, err)
	case !ended:
		return nil, fmt.Errorf("killed%s: %w", quoted(stderr.kept), context.Cause(ctx))
	case cmd.ProcessState.Success():
		return stdout.kept, nil
	}
	return nil, h.refusal(cmd.ProcessState, stderr.kept)
}

// run starts the program and returns when it has ended, its group with it, and its outputs are read. ended says whether
// it ended without our doing; an error means that it was never started.
//
// Every signal is sent before the program is reaped: until then its process ID, and so the group's, is nobody else's.
func (h *Handler) run(ctx context.Context, cmd *osexec.Cmd) (ended bool, err error) {
	runtime.LockOSThread() // the program dies with this thread: see the package comment
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return false, err
	}
	exited := make(chan struct{}) // closed once the program has ended
	go func() {                   // ends with the program
		awaitExit(cmd)
		close(exited)
	}()
	select {
	case <-exited:
		ended = true
	case <-ctx.Done():
		h.terminate(cmd.Process.Pid, exited)
	}
	signalGroup(cmd.Process.Pid, syscall.SIGKILL) // what the program left behind
	_ = cmd.Wait()                                // what matters of it is in cmd.ProcessState
	return ended, nil
}

// terminate asks the group to end and, after the grace, does not ask. It returns when the program has ended.
func (h *Handler) terminate(group int, exited <-chan struct{}) {
	signalGroup(group, syscall.SIGTERM)
	expired := make(chan struct{})
	timer := h.clock.AfterFunc(h.grace, func() { close(expired) })
	defer timer.Stop()
	select {
	case <-exited:
	case <-expired:
		signalGroup(group, syscall.SIGKILL)
		<-exited
	}
}

// refusal turns an end without success into the error that stands for its outcome.
func (h *Handler) refusal(state *os.ProcessState, stderr []byte) error {
	err := &ExitError{Code: state.ExitCode(), Stderr: stderr}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		err.Signal = status.Signal()
	}
	if slices.Contains(h.discard, err.Code) {
		return handler.Discard(err)
	}
	return err
}

// signalGroup signals every process of a group. A group with nobody left in it is no error.
func signalGroup(group int, signal syscall.Signal) { _ = syscall.Kill(-group, signal) }
