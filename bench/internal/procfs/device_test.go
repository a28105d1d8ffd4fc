//go:build linux

package procfs_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/hooktroupe/hooktroupe/bench/internal/procfs"
)

const disk = "  931270   245109 41381690  1520404   740910   318254 82258544   318175        0   309844  1916940   239808\n"

func TestParseDevice(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       int64
		wrong      bool
	}{
		{"sectors written, not read", disk, 82258544 * 512, false},
		{"the least that says it", "0 0 0 0 0 0 3", 1536, false},
		{"too few fields", "0 0 0 0 0 0", 0, true},
		{"negative", "0 0 0 0 0 0 -3", 0, true},
		{"more than can be counted", "0 0 0 0 0 0 9223372036854775807", 0, true},
		{"not a number", "0 0 0 0 0 0 many", 0, true},
		{"empty", "", 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := procfs.ParseDevice([]byte(c.text))
			judge(t, got, c.want, err, c.wrong)
		})
	}
}

func TestDeviceCountsWhatIsSynced(t *testing.T) {
	folder := t.TempDir()
	device, err := procfs.DeviceOf(folder)
	if err != nil {
		t.Fatal(err)
	}
	before, err := device.Written()
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("temporary files are on no disk")
	} else if err != nil {
		t.Fatal(err)
	}
	const size = 1 << 20
	file, err := os.Create(filepath.Join(folder, "file"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Write(make([]byte, size))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		t.Fatal(err)
	}
	if after, err := device.Written(); err != nil || after < before+size {
		t.Errorf("%d bytes more, %v; want %d at least", after-before, err, size)
	}
}

func TestNoSuchFolder(t *testing.T) {
	if _, err := procfs.DeviceOf(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("a folder that is not there has a device")
	}
}

func FuzzParseDevice(f *testing.F) {
	f.Add([]byte(disk))
	f.Add([]byte("0 0 0 0 0 0 -3"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if n, err := procfs.ParseDevice(text); n < 0 || err != nil && n != 0 {
			t.Errorf("%d, %v", n, err)
		}
	})
}
