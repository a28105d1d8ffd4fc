package faulttest_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// prefix begins the names of all that is made here: the number of the process follows, so that what a killed test left behind
// is known.
const prefix = "hkft"

// init keeps the main thread from goroutines that enter a host: what it is in counts as that of the whole process.
func init() { runtime.LockOSThread() }

// network is a bridge in this process's namespace with hosts on it, each a namespace of its own.
type network struct {
	t      testing.TB
	bridge string
	subnet string // its first three numbers
	hosts  int
}

// host is one of them.
type host struct {
	network            *network
	namespace, address string
}

// newNetwork makes a network that is gone after the test. The test is skipped where the machine allows none.
func newNetwork(t testing.TB) *network {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("SKIPPED: ip is not installed (Debian package iproute2)")
	}
	sweep(t)
	n := &network{t: t, bridge: fmt.Sprint(prefix, os.Getpid())}
	t.Cleanup(func() { _ = ip("link", "del", n.bridge) }) // it may not have come to be
	if err := ip("link", "add", n.bridge, "type", "bridge"); err != nil {
		t.Skip("SKIPPED: no network can be made here: ", err)
	}
	n.subnet = freeSubnet(t)
	n.must("addr", "add", n.subnet+".1/24", "dev", n.bridge)
	n.must("link", "set", n.bridge, "up")
	return n
}

// freeSubnet is one of those that are set aside for measuring networks, and that nobody here uses.
func freeSubnet(t testing.TB) string {
	t.Helper()
	used, err := exec.Command("ip", "-o", "-4", "addr", "show").Output()
	if err != nil {
		t.Fatal(err)
	}
	for n := range 512 {
		n = (n + os.Getpid()) % 512
		if subnet := fmt.Sprintf("198.%d.%d", 18+n/256, n%256); !strings.Contains(string(used), subnet+".") {
			return subnet
		}
	}
	t.Skip("SKIPPED: no network is free in 198.18.0.0/15")
	return ""
}

// sweep removes what processes left that were killed.
func sweep(t testing.TB) {
	t.Helper()
	for _, folder := range []string{"/run/netns", "/sys/class/net"} {
		found, err := filepath.Glob(filepath.Join(folder, prefix+"*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			name := filepath.Base(path)
			pid, err := strconv.Atoi(strings.Split(strings.TrimPrefix(name, prefix), "-")[0])
			if err != nil || unix.Kill(pid, 0) == nil {
				continue // somebody else's, or of a test that runs
			}
			if folder == "/run/netns" {
				removeNamespace(name)
			} else {
				_ = ip("link", "del", name) // those with both ends may be gone already
			}
		}
	}
}

// removeNamespace ends what runs in a namespace, and removes it.
func removeNamespace(name string) {
	pids, _ := exec.Command("ip", "netns", "pids", name).Output()
	for _, text := range strings.Fields(string(pids)) {
		if pid, err := strconv.Atoi(text); err == nil && pid != os.Getpid() {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
	_ = ip("netns", "del", name)
}

// ip runs the command of that name.
func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

func (n *network) must(args ...string) {
	n.t.Helper()
	if err := ip(args...); err != nil {
		n.t.Fatal(err)
	}
}

// address is the one of this process on the network.
func (n *network) address() string { return n.subnet + ".1" }

// host adds one to the network. The name has one or two letters, for it ends up in that of a device.
func (n *network) host(name string) *host {
	n.t.Helper()
	n.hosts++
	h := &host{
		network: n, namespace: fmt.Sprintf("%s%d-%s", prefix, os.Getpid(), name),
		address: fmt.Sprintf("%s.%d", n.subnet, 10+n.hosts),
	}
	n.t.Cleanup(func() { removeNamespace(h.namespace) })
	n.must("netns", "add", h.namespace)
	n.must("link", "add", h.namespace, "type", "veth", "peer", "name", "eth0", "netns", h.namespace)
	n.must("link", "set", h.namespace, "master", n.bridge, "up")
	n.must("-n", h.namespace, "addr", "add", h.address+"/24", "dev", "eth0")
	n.must("-n", h.namespace, "link", "set", "lo", "up")
	n.must("-n", h.namespace, "link", "set", "eth0", "up")
	return h
}

// prefix runs a command in the host.
func (h *host) prefix() []string { return []string{"ip", "netns", "exec", h.namespace} }

// enter moves the calling thread into the host, for good.
func (h *host) enter() error {
	f, err := os.Open("/run/netns/" + h.namespace)
	if err != nil {
		return err
	}
	return errors.Join(unix.Setns(int(f.Fd()), unix.CLONE_NEWNET), f.Close())
}

// reaches says whether another host answers, if only that nobody listens there.
func (h *host) reaches(t *testing.T, other *host) bool {
	t.Helper()
	result := make(chan error, 1)
	go func() { // ends with its thread, which nobody else may use
		runtime.LockOSThread()
		if err := h.enter(); err != nil {
			result <- err
			return
		}
		conn, err := net.DialTimeout("tcp4", other.address+":9", time.Second)
		if err == nil {
			err = conn.Close()
		}
		result <- err
	}()
	err := <-result
	var timeout net.Error
	switch {
	case err == nil, errors.Is(err, unix.ECONNREFUSED):
		return true
	case errors.As(err, &timeout) && timeout.Timeout():
		return false
	}
	t.Fatal(err)
	return false
}

// nowhere is the hardware address of nobody: what is sent there is lost without a word, as on a network that is cut.
const nowhere = "02:00:00:00:00:00"

// part cuts two hosts off from each other, and from nobody else, until heal is called, which may be called twice.
func part(a, b *host) (heal func()) {
	both := func(what string, more ...string) {
		for _, pair := range [][2]*host{{a, b}, {b, a}} {
			a.network.must(append([]string{"-n", pair[0].namespace, "neigh", what, pair[1].address, "dev", "eth0"}, more...)...)
		}
	}
	both("replace", "lladdr", nowhere, "nud", "permanent")
	return sync.OnceFunc(func() { both("del") })
}

// TestNetwork tries the network itself: who is cut off, and that everything is gone afterwards.
func TestNetwork(t *testing.T) {
	var names []string
	t.Run("while it is there", func(t *testing.T) {
		n := newNetwork(t)
		a, b, c := n.host("a"), n.host("b"), n.host("c")
		names = []string{a.namespace, b.namespace, c.namespace}
		heal := part(a, b)
		for _, pair := range [][2]*host{{a, b}, {b, a}} {
			if pair[0].reaches(t, pair[1]) {
				t.Errorf("%s reaches %s across the cut", pair[0].namespace, pair[1].namespace)
			}
		}
		for _, pair := range [][2]*host{{a, c}, {c, a}, {b, c}, {c, b}} {
			if !pair[0].reaches(t, pair[1]) {
				t.Errorf("%s does not reach %s", pair[0].namespace, pair[1].namespace)
			}
		}
		heal()
		if !a.reaches(t, b) || !b.reaches(t, a) {
			t.Error("the cut is not healed")
		}
	})
	left, err := filepath.Glob("/run/netns/" + prefix + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if slices.Contains(left, "/run/netns/"+name) {
			t.Errorf("%s is left", name)
		}
	}
}
