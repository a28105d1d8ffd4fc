package exec

import (
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hooktroupe/hooktroupe/handler"
)

// TempFail is EX_TEMPFAIL of sysexits.h, the exit code by which a program asks for another attempt.
const TempFail = 75

// DefaultKillGrace is what a zero Config.KillGrace stands for.
const DefaultKillGrace = 2 * time.Second

// Config describes one program.
type Config struct {
	// Command is the program and its arguments, passed on as they are. A program without a slash is looked up in the
	// daemon's PATH, once.
	Command []string
	// Dir is the working directory. Empty means the daemon's.
	Dir string
	// Env names variables of the daemon's environment that the program sees too.
	Env []string
	// Set adds variables, over inherited ones of the same name. Values may be secrets: a Config prints without them.
	Set map[string]string
	// Variables names the variables that Inputs may set, over inherited ones of the same name; none may be in Set.
	Variables []string
	// Inputs says what a task adds to its run; nil for nothing. It is called from many goroutines at once. An error is about
	// the delivery: no later attempt mends it, and the task is discarded.
	Inputs func(*handler.Task) (Inputs, error)
	// Timeout bounds one run. Zero means that only the attempt's own deadline does.
	Timeout time.Duration
	// KillGrace is how long a program that was sent SIGTERM may take to end before SIGKILL. Zero means DefaultKillGrace
	// (2 s).
	KillGrace time.Duration
	// MaxOutputBytes bounds the result: more of standard output is read and dropped. Zero means handler.MaxResultBytes
	// (4 KiB), which is also the most.
	MaxOutputBytes int
	// MaxMemoryBytes bounds the memory that each process of the program may allocate, and MaxCPU the processor time that it
	// may use: the kernel refuses more memory, and kills what uses more time. Zero means no bound but the daemon's own. They
	// are set by prlimit, of util-linux, which must be in the daemon's PATH.
	MaxMemoryBytes int64
	MaxCPU         time.Duration
	// DiscardCodes are exit codes, 1 to 255 without TempFail, after which the task has failed for good. None means that every
	// failure is tried again.
	DiscardCodes []int
}

// String names the program without arguments and variables, which may hold secrets.
func (c Config) String() string {
	if len(c.Command) == 0 {
		return "exec nothing"
	}
	return "exec " + c.Command[0]
}

// GoString is String.
func (c Config) GoString() string { return c.String() }

// WithDefaults returns the configuration with each zero replaced by what it stands for.
func (c Config) WithDefaults() Config {
	if c.KillGrace == 0 {
		c.KillGrace = DefaultKillGrace
	}
	if c.MaxOutputBytes == 0 {
		c.MaxOutputBytes = handler.MaxResultBytes
	}
	return c
}

// validate judges a configuration that has its defaults. Every error names the field at fault.
func (c Config) validate() error {
	switch {
	case len(c.Command) == 0 || c.Command[0] == "":
		return errors.New("command: empty")
	case slices.ContainsFunc(c.Command, holdsNUL):
		return errors.New("command: holds a NUL")
	case c.Timeout < 0:
		return errors.New("timeout: negative")
	case c.KillGrace < 0:
		return errors.New("kill_grace: negative")
	case c.MaxOutputBytes < 0 || c.MaxOutputBytes > handler.MaxResultBytes:
		return fmt.Errorf("max_output_bytes: not within 0 and %d", handler.MaxResultBytes)
	}
	if err := c.limits().validate(); err != nil {
		return err
	}
	if err := checkDiscardCodes(c.DiscardCodes); err != nil {
		return err
	}
	for _, name := range c.Env {
		if err := checkVariable(name); err != nil {
			return fmt.Errorf("env: %w", err)
		}
	}
	for name, value := range c.Set {
		if err := checkVariable(name); err != nil {
			return fmt.Errorf("set: %w", err)
		}
		if holdsNUL(value) {
			return fmt.Errorf("set: value of %s holds a NUL", name)
		}
	}
	for _, name := range c.Variables {
		if err := checkVariable(name); err != nil {
			return fmt.Errorf("variables: %w", err)
		}
		if _, twice := c.Set[name]; twice {
			return fmt.Errorf("variables: %s is in set, too", name)
		}
	}
	return nil
}

func checkDiscardCodes(codes []int) error {
	for _, code := range codes {
		if code < 1 || code > 255 {
			return fmt.Errorf("discard_codes: %d is not within 1 and 255", code)
		}
		if code == TempFail {
			return fmt.Errorf("discard_codes: %d asks for another attempt", code)
		}
	}
	return nil
}

// limits are what the kernel enforces.
func (c Config) limits() limits { return limits{memory: c.MaxMemoryBytes, cpu: c.MaxCPU} }

// limits bound each process of a program; zero for no bound.
type limits struct {
	memory int64
	cpu    time.Duration
}

func (l limits) validate() error {
	switch {
	case l.memory != 0 && l.memory < 1<<20:
		return fmt.Errorf("max_memory: %d is below 1 MiB", l.memory)
	case l.cpu != 0 && l.cpu < time.Second:
		return fmt.Errorf("max_cpu: %v is below 1 s", l.cpu)
	default:
		return nil
	}
}

// wrap returns what is to be run so that a program has its limits from its first instruction on: to limit it once it runs
// would leave out the processes that it has started by then.
func (l limits) wrap(path string, args []string) (string, []string, error) {
	if l == (limits{}) {
		return path, args, nil
	}
	prlimit, err := osexec.LookPath("prlimit")
	if err != nil {
		return "", nil, fmt.Errorf("max_memory and max_cpu need prlimit: %w", err)
	}
	wrapped := []string{"prlimit"}
	if l.memory > 0 {
		wrapped = append(wrapped, fmt.Sprintf("--data=%d", l.memory))
	}
	if l.cpu > 0 {
		seconds := int64((l.cpu + time.Second - 1) / time.Second)
		wrapped = append(wrapped, fmt.Sprintf("--cpu=%d:%d", seconds, seconds+1)) // SIGXCPU, and a second later SIGKILL
	}
	return prlimit, append(append(wrapped, "--", path), args[1:]...), nil
}

// checkVariable refuses what is no name, and the names that are ours.
func checkVariable(name string) error {
	switch {
	case name == "" || strings.ContainsAny(name, "=\x00"):
		return fmt.Errorf("%q is not the name of a variable", name)
	case strings.HasPrefix(name, prefix):
		return fmt.Errorf("%s: names that begin with %s are reserved", name, prefix)
	}
	return nil
}

// lookUp returns the absolute path of the program, so that no later attempt depends on PATH or a working directory.
func (c Config) lookUp() (string, error) {
	found, err := osexec.LookPath(c.Command[0])
	if err != nil {
		return "", fmt.Errorf("command: %w", err)
	}
	if c.Dir != "" {
		info, err := os.Stat(c.Dir)
		switch {
		case err != nil:
			return "", fmt.Errorf("dir: %w", err)
		case !info.IsDir():
			return "", fmt.Errorf("dir: %s is not a directory", c.Dir)
		}
	}
	return filepath.Abs(found)
}

// holdsNUL says whether a value cannot be passed to a program at all.
func holdsNUL(s string) bool { return strings.IndexByte(s, 0) >= 0 }
