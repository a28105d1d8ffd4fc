// Package procfs reads what Linux counts: of a process its processor time and its memory, of a disk what was written to
// it. The parsers take the files' text and are separate from reading them.
package procfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tick is the unit of processor time in /proc/PID/stat: USER_HZ, which is 100 on every architecture that Go supports.
const tick = 10 * time.Millisecond

// ErrFormat means that a file did not look as the kernel writes it.
var ErrFormat = errors.New("unexpected format")

// Memory is the physical memory of a process, in bytes.
type Memory struct {
	// Resident is what it holds now, Peak the most it ever held.
	Resident, Peak int64
}

// Process names a process by its ID.
type Process int

// CPU is the time that all its threads spent on a processor, in user and in kernel mode, to 10 ms.
func (p Process) CPU() (time.Duration, error) {
	text, err := p.read("stat")
	if err != nil {
		return 0, err
	}
	return ParseStat(text)
}

// Memory is what it holds now.
func (p Process) Memory() (Memory, error) {
	text, err := p.read("status")
	if err != nil {
		return Memory{}, err
	}
	return ParseStatus(text)
}

func (p Process) read(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join("/proc", strconv.Itoa(int(p)), name))
}

// ParseStat returns user and system time from the text of /proc/PID/stat. The second field, the command, stands in
// parentheses and may hold anything, parentheses included: fields are counted from the last closing one.
func ParseStat(text []byte) (time.Duration, error) {
	const user, system = 14 - 3, 15 - 3 // proc(5) counts from 1; the first behind the command is field 3
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return 0, fmt.Errorf("stat: no command: %w", ErrFormat)
	}
	fields := bytes.Fields(text[end+1:])
	if len(fields) <= system {
		return 0, fmt.Errorf("stat: %d fields behind the command: %w", len(fields), ErrFormat)
	}
	total := int64(0)
	for _, i := range []int{user, system} {
		n, err := strconv.ParseInt(string(fields[i]), 10, 64)
		if err != nil || n < 0 || n > int64((1<<62)/tick) {
			return 0, fmt.Errorf("stat: field %d is %q: %w", i+3, fields[i], ErrFormat)
		}
		total += n
	}
	return time.Duration(total) * tick, nil
}

// ParseStatus returns VmRSS and VmHWM from the text of /proc/PID/status. A process that has ended has neither.
func ParseStatus(text []byte) (Memory, error) {
	resident, err := number(text, "VmRSS", "kB")
	if err != nil {
		return Memory{}, err
	}
	peak, err := number(text, "VmHWM", "kB")
	if err != nil {
		return Memory{}, err
	}
	return Memory{Resident: resident << 10, Peak: peak << 10}, nil
}

// number finds the line "name: value unit".
func number(text []byte, name, unit string) (int64, error) {
	for line := range bytes.Lines(text) {
		key, rest, found := bytes.Cut(line, []byte(":"))
		if !found || string(key) != name {
			continue
		}
		value := bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte(unit)))
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil || n < 0 || n > 1<<50 {
			return 0, fmt.Errorf("%s is %q: %w", name, bytes.TrimSpace(rest), ErrFormat)
		}
		return n, nil
	}
	return 0, fmt.Errorf("no %s: %w", name, ErrFormat)
}
