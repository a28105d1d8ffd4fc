// Package pgserver runs a PostgreSQL server of its own for as long as a test or a trial needs one: from the machine's
// packages, on a port and in a folder of its own. It can be stopped, frozen, killed and started again. It is no
// way to run a database that matters.
//
// The one invariant: the server does not outlive the process that started it.
package pgserver

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// startTimeout bounds the wait until a server answers; it may have to recover first.
	startTimeout = time.Minute
	// stopTimeout bounds a fast shutdown; after it the server is killed.
	stopTimeout = 30 * time.Second
	// pollInterval is how often a server that starts is tried.
	pollInterval = 20 * time.Millisecond
	// portAttempts is how often another free port is tried when somebody else took the first.
	portAttempts = 5
	superuser    = "hooktroupe"
	loopback     = "127.0.0.1"
)

// ErrNotInstalled means that the machine has no PostgreSQL server.
var ErrNotInstalled = errors.New("pgserver: PostgreSQL is not installed (Debian package postgresql-15)")

// Options say how a server runs. The zero value is good.
type Options struct {
	// Dir is where the server's folder is made, and where it stays after Close. Empty means one for temporary files that
	// Close removes. The user "postgres" must be able to reach it when the process runs as root.
	Dir string
	// Host is the address that the server listens at. Empty means 127.0.0.1; at another, whoever reaches it may try the
	// password.
	Host string
	// Port is where the server listens; zero means a port that is free on 127.0.0.1.
	Port int
	// Enter is called on the thread that starts the server, each time, and the thread is not used again: so a server is
	// moved into a network namespace. Nil does nothing.
	Enter func() error
	// NoSync lets the server lose what it confirmed when the power fails.
	NoSync bool
	// Settings are more settings of the server, which win over those of this package.
	Settings map[string]string
}

// Server is a running PostgreSQL. Its methods are for one goroutine.
type Server struct {
	bin, dir  string
	temporary bool
	host      string
	port      int
	enter     func() error
	password  string
	settings  map[string]string
	identity  *syscall.Credential // nil: that of this process
	process   *process            // nil while it does not run
}

// Installed returns the folder of the newest server's programs, or ErrNotInstalled.
func Installed() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		version := func(path string) int {
			n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
			return n
		}
		sort.Slice(found, func(i, j int) bool { return version(found[i]) > version(found[j]) })
		return filepath.Dir(found[0]), nil
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", ErrNotInstalled
}

// Start makes a server's folder and starts the server. Whoever gets it closes it.
func Start(o Options) (*Server, error) {
	bin, err := Installed()
	if err != nil {
		return nil, err
	}
	s := &Server{
		bin: bin, host: cmp.Or(o.Host, loopback), port: o.Port, enter: o.Enter, password: rand.Text(), settings: settings(o),
	}
	if s.identity, err = identity(); err != nil {
		return nil, err
	}
	if err := s.makeDir(o.Dir); err != nil {
		return nil, err
	}
	err = s.initialize()
	if err == nil {
		err = s.startSomewhere(o.Port)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// settings are those of a small server that starts fast and is as safe as a real one.
func settings(o Options) map[string]string {
	all := map[string]string{
		"listen_addresses":        cmp.Or(o.Host, loopback),
		"unix_socket_directories": "",
		"max_connections":         "200",
		"shared_buffers":          "128MB",
		"max_wal_size":            "2GB",
		"log_destination":         "stderr",
		"fsync":                   "on",
	}
	if o.NoSync {
		all["fsync"] = "off"
	}
	for name, value := range o.Settings {
		all[name] = value
	}
	return all
}

func (s *Server) makeDir(parent string) error {
	s.temporary = parent == ""
	dir, err := os.MkdirTemp(parent, "hooktroupe-pg-")
	if err != nil {
		return err
	}
	s.dir = dir
	if s.identity != nil {
		return os.Chown(dir, int(s.identity.Uid), int(s.identity.Gid))
	}
	return nil
}

// initialize makes the data folder: one superuser with a password, UTF-8, and the order of bytes.
func (s *Server) initialize() error {
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(s.password+"\n"), 0o600); err != nil {
		return err
	}
	defer func() { _ = os.Remove(secret) }()
	if s.identity != nil {
		if err := os.Chown(secret, int(s.identity.Uid), int(s.identity.Gid)); err != nil {
			return err
		}
	}
	c := s.command("initdb", "-D", s.data(), "-U", superuser, "--pwfile", secret, "-A", "scram-sha-256", "-E", "UTF8",
		"--locale=C", "--no-sync")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	if s.host == loopback {
		return nil
	}
	rules, err := os.OpenFile(filepath.Join(s.data(), "pg_hba.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = rules.WriteString("host all all all scram-sha-256\n")
	return errors.Join(err, rules.Close())
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// command is one of PostgreSQL's programs under the server's identity, with nothing of this process's environment.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(s.bin, name), args...) //nolint:gosec // the machine's own program
	c.Dir = s.dir
	c.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	c.SysProcAttr = attributes(s.identity)
	return c
}

// startSomewhere starts the server on the port it is to have, or else on a free one.
func (s *Server) startSomewhere(port int) error {
	if port != 0 {
		return s.Restart()
	}
	var err error
	for range portAttempts {
		if s.port, err = freePort(); err != nil {
			return err
		}
		if err = s.Restart(); err == nil {
			return nil
		}
	}
	return err
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Restart starts the server, after stopping it if it runs, on the same port and folder, and returns when it answers.
func (s *Server) Restart() error {
	if err := s.Stop(); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	args := []string{"-D", s.data(), "-p", strconv.Itoa(s.port)}
	for name, value := range s.settings {
		args = append(args, "-c", name+"="+value)
	}
	c := s.command("postgres", args...)
	c.Stdout, c.Stderr = log, log
	if s.process, err = run(c, s.enter); err != nil {
		return err
	}
	if err := s.await(); err != nil {
		tail, _ := os.ReadFile(filepath.Join(s.dir, "log"))
		return errors.Join(fmt.Errorf("pgserver: no answer on port %d: %w: %s", s.port, err, lastLines(tail)), s.Kill())
	}
	return nil
}

func lastLines(log []byte) string {
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], " | ")
}

// await tries until the server answers a query, has ended, or has had its time.
func (s *Server) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		err := s.exec(ctx, "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-s.process.ended:
			return errors.New("it ended")
		case <-ctx.Done():
			return err
		case <-time.After(pollInterval):
		}
	}
}

// exec runs one statement in the database "postgres".
func (s *Server) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

// CreateDatabase makes an empty database. The name is one of letters, digits and underscores.
func (s *Server) CreateDatabase(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return s.exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
}

// URL is that of a database, with the password in it.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(superuser, s.password), Host: s.Address(), Path: "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Address is where the server listens, host and port.
func (s *Server) Address() string { return net.JoinHostPort(s.host, strconv.Itoa(s.port)) }

// Password is that of the URL.
func (s *Server) Password() string { return s.password }

// Dir is the server's folder; the file "log" in it is what the server says.
func (s *Server) Dir() string { return s.dir }

// Stop shuts the server down: it ends every connection, and writes what it has. It does nothing if the server does not
// run.
func (s *Server) Stop() error {
	if s.process == nil {
		return nil
	}
	s.Thaw()
	_ = s.process.signal(syscall.SIGINT)
	select {
	case <-s.process.ended:
		s.process = nil
		return nil
	case <-time.After(stopTimeout):
		return errors.Join(errors.New("pgserver: the server does not stop"), s.Kill())
	}
}

// Kill ends every process of the server at once, as a crash would.
func (s *Server) Kill() error {
	if s.process == nil {
		return nil
	}
	// Stopped first, it makes no new children while the list is read.
	_ = s.process.signal(syscall.SIGSTOP)
	children := s.process.children()
	_ = s.process.signal(syscall.SIGKILL)
	for _, pid := range children {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-s.process.ended
	s.process = nil
	return awaitGone(children)
}

// Freeze stops every process of the server where it is: connections stay, and nobody answers.
func (s *Server) Freeze() {
	if s.process == nil {
		return
	}
	_ = s.process.signal(syscall.SIGSTOP)
	for _, pid := range s.process.children() {
		_ = syscall.Kill(pid, syscall.SIGSTOP)
	}
}

// Thaw lets a frozen server go on.
func (s *Server) Thaw() {
	if s.process == nil {
		return
	}
	for _, pid := range s.process.children() {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	_ = s.process.signal(syscall.SIGCONT)
}

// Close stops the server, and removes its folder if that was made for it.
func (s *Server) Close() error {
	err := s.Stop()
	if s.temporary && s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}
