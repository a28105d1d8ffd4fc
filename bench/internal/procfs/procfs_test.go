package procfs_test

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/bench/internal/procfs"
)

const stat = "4711 (hooktroupe) S 1 4711 4711 0 -1 4194560 2131 0 3 0 250 75 0 0 20 0 9 0 8812 1275817984 3891 " +
	"18446744073709551615 1 1 0 0 0 0 0 0 2143420159 0 0 0 17 1 0 0 0 0 0\n"

const status = `Name:	hooktroupe
Umask:	0022
VmPeak:	 1245916 kB
VmHWM:	   38912 kB
VmRSS:	   15564 kB
RssAnon:	    8192 kB
`

func TestParseStat(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       time.Duration
		wrong      bool
	}{
		{"user and system time", stat, 3250 * time.Millisecond, false},
		{"a command with spaces and parentheses", strings.Replace(stat, "(hooktroupe)", "(a) R 1 (b))", 1), 3250 * time.Millisecond, false},
		{"no command", "4711 hooktroupe S 1", 0, true},
		{"cut short", stat[:60], 0, true},
		{"not a number", strings.Replace(stat, " 250 75 ", " 250 x ", 1), 0, true},
		{"negative", strings.Replace(stat, " 250 75 ", " -250 75 ", 1), 0, true},
		{"too large for a duration", strings.Replace(stat, " 250 75 ", " 9223372036854775807 75 ", 1), 0, true},
		{"empty", "", 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := procfs.ParseStat([]byte(c.text))
			judge(t, got, c.want, err, c.wrong)
		})
	}
}

func TestParseStatus(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       procfs.Memory
		wrong      bool
	}{
		{"resident and peak", status, procfs.Memory{Resident: 15564 << 10, Peak: 38912 << 10}, false},
		{"a process that has ended", "Name:\thooktroupe\nState:\tZ (zombie)\n", procfs.Memory{}, true},
		{"no peak", strings.Replace(status, "VmHWM", "VmHXX", 1), procfs.Memory{}, true},
		{"not a number", strings.Replace(status, "15564", "many", 1), procfs.Memory{}, true},
		{"another unit", strings.Replace(status, "15564 kB", "15564 MB", 1), procfs.Memory{}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := procfs.ParseStatus([]byte(c.text))
			judge(t, got, c.want, err, c.wrong)
		})
	}
}

// judge compares a result, or its absence: every error of a parser is an ErrFormat.
func judge[V comparable](t *testing.T, got, want V, err error, wrong bool) {
	t.Helper()
	if wrong != errors.Is(err, procfs.ErrFormat) {
		t.Fatalf("error %v, want one: %v", err, wrong)
	}
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestThisProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	self := procfs.Process(os.Getpid())
	before, err := self.CPU()
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		after, err := self.CPU()
		if err != nil {
			t.Fatal(err)
		}
		if after > before {
			break // a busy loop costs processor time
		}
		if time.Now().After(deadline) {
			t.Fatal("a minute of work cost no processor time")
		}
	}
	memory, err := self.Memory()
	if err != nil || memory.Resident < 1<<20 || memory.Peak < memory.Resident {
		t.Errorf("memory %+v, %v", memory, err)
	}
}

func TestNoSuchProcess(t *testing.T) {
	nobody := procfs.Process(-1)
	_, cpu := nobody.CPU()
	_, memory := nobody.Memory()
	for name, err := range map[string]error{"CPU": cpu, "Memory": memory} {
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v, want ErrNotExist", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{stat, status, "", ")", "1 () ", "VmRSS: kB\nVmHWM:"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if cpu, err := procfs.ParseStat(text); cpu < 0 || err != nil && cpu != 0 {
			t.Errorf("stat: %v, %v", cpu, err)
		}
		if m, err := procfs.ParseStatus(text); m.Resident < 0 || m.Peak < 0 || err != nil && m != (procfs.Memory{}) {
			t.Errorf("status: %+v, %v", m, err)
		}
	})
}
