//go:build linux

// Command cluster runs a whole cluster on this machine, for trials: PostgreSQL, three members that speak mutual TLS, and
// HAProxy in front of them, at the address where one daemon would listen. It needs Debian's packages postgresql-15 and haproxy:
//
//	make cluster
//	bin/hooktroupe send --source github --event pull_request --wait
//
// Interrupted, it has the members drain, and removes all that it made but the demo's secret, also what was delivered. It is no way to run a cluster
// that matters: docs/OPERATIONS.md is about those.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/template"
	"time"

	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/internal/pgserver"
)

const (
	members = 3
	// lease is short, so that whoever kills a member sees at once what follows.
	lease = 3 * time.Second
	// startPatience bounds the wait until members and balancer are ready, stopPatience that until they have ended.
	startPatience, stopPatience = time.Minute, 40 * time.Second
	pollInterval                = 50 * time.Millisecond
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		_, _ = fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// trial is a cluster that runs.
type trial struct {
	program, balancer string // the daemon's, and HAProxy's configuration
	listen, data      string
	folder            string // of all that is made
	store             *pgserver.Server
	front             *process
	members           []*member
	died              chan string // one line for each process that nobody stopped; one of each fits
	out               io.Writer
}

// member is one of the cluster.
type member struct {
	*process
	name, address, config string
}

func run(ctx context.Context, args []string, out, errs io.Writer) error {
	t := &trial{out: out, died: make(chan string, members+1)}
	flags := flag.NewFlagSet("cluster", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.StringVar(&t.listen, "listen", config.Default().HTTP.Listen, "where deliveries are taken, on loopback; port 0 is any that is free")
	flags.StringVar(&t.data, "data-dir", config.Default().DataDir, "folder of the demo's secret, as of serve")
	flags.StringVar(&t.program, "program", filepath.Join("bin", "hooktroupe"), "the daemon's program")
	flags.StringVar(&t.balancer, "balancer", filepath.Join("deploy", "haproxy", "haproxy.cfg"), "the configuration of HAProxy")
	if err := flags.Parse(args); err != nil {
		return err
	}
	err := t.start(ctx)
	if err == nil {
		t.introduce()
		t.watch(ctx)
		_, _ = fmt.Fprintln(out, "stopping: the members end what runs")
	}
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return t.tidy(errors.Join(err, t.stop()))
}

// start makes everything, from the store upwards.
func (t *trial) start(ctx context.Context) (err error) {
	haproxy, err := find("haproxy")
	if err != nil {
		return err
	}
	if t.program, err = filepath.Abs(t.program); err != nil {
		return err
	}
	if t.folder, err = os.MkdirTemp("", "hooktroupe-cluster-"); err != nil {
		return err
	}
	if t.store, err = pgserver.Start(pgserver.Options{}); err != nil {
		return err
	}
	const database = "hooktroupe"
	if err := t.store.CreateDatabase(database); err != nil {
		return err
	}
	url := filepath.Join(t.folder, "store")
	if err := os.WriteFile(url, []byte(t.store.URL(database)+"\n"), 0o600); err != nil {
		return err
	}
	if err := t.execute(ctx, "migrate", "--store-file", url); err != nil {
		return err
	}
	demo, err := config.Demo(t.data, rand.Reader)
	if err != nil {
		return err
	}
	secret, err := filepath.Abs(strings.TrimPrefix(demo.Sources["github"].Secret, "file:"))
	if err != nil {
		return err
	}
	for n := range members {
		if err := t.startMember(ctx, n+1, url, secret); err != nil {
			return err
		}
	}
	for _, m := range t.members {
		if err := t.ready(ctx, m.address, m.process); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return t.startFront(ctx, haproxy)
}

// find is exec.LookPath, which also finds what Debian keeps for administrators.
func find(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err == nil {
		return path, nil
	}
	if path, errs := exec.LookPath(filepath.Join("/usr/sbin", program)); errs == nil {
		return path, nil
	}
	return "", fmt.Errorf("%w (Debian package %s)", err, program)
}

// execute runs the daemon's program for a command that ends by itself.
func (t *trial) execute(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, t.program, args...).CombinedOutput() //nolint:gosec // the operator names it
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", filepath.Base(t.program), args[0], err, out)
	}
	return nil
}

// configuration is a member's: the demo's source and handler, and how the balancer speaks to it.
var configuration = template.Must(template.New("member").Parse(`http:
  listen: "{{.Address}}"
  client_address: x-forwarded-for
  trusted_proxies: [127.0.0.1]
  drain_delay: 3s
sources:
  github: {secret: "file:{{.Secret}}"}
handlers:
  log: {type: log}
routes:
  - {name: all, source: "*", event: "*", handler: log}
cluster:
  enabled: true
  name: {{.Name}}
  advertise: "{{.Advertise}}"
  store: "file:{{.Store}}"
  lease: {{.Lease}}
  tls: {ca: "{{.Identities}}/ca.pem", cert: "{{.Identities}}/{{.Name}}.pem", key: "{{.Identities}}/{{.Name}}.key"}
`))

// startMember makes an identity and a configuration, and starts a member with them.
func (t *trial) startMember(ctx context.Context, n int, store, secret string) error {
	m := &member{name: "member-" + strconv.Itoa(n)}
	m.config = filepath.Join(t.folder, m.name+".yaml")
	identities := filepath.Join(t.folder, "identities")
	if err := t.execute(ctx, "cert", m.name, "--dir", identities, "--host", "127.0.0.1"); err != nil {
		return err
	}
	advertise, err := freeAddress("127.0.0.1:0")
	if err != nil {
		return err
	}
	if m.address, err = freeAddress(t.next(n)); err != nil {
		return err
	}
	file, err := os.OpenFile(m.config, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	err = configuration.Execute(file, map[string]any{
		"Address": m.address, "Advertise": advertise, "Secret": secret, "Store": store, "Name": m.name, "Lease": lease,
		"Identities": identities,
	})
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	m.process, err = t.launch(m.name, nil, t.program, "serve", "--config", m.config)
	if err == nil {
		t.members = append(t.members, m)
	}
	return err
}

// next is the address of a member that is best to remember: a few ports above the balancer's.
func (t *trial) next(n int) string {
	host, port, _ := net.SplitHostPort(t.listen)
	first, _ := strconv.Atoi(port)
	if first == 0 {
		return net.JoinHostPort(host, "0")
	}
	return net.JoinHostPort(host, strconv.Itoa(first+n))
}

// freeAddress is the one that is wanted, or another port of its host where somebody listens there.
func freeAddress(wanted string) (string, error) {
	l, err := net.Listen("tcp", wanted)
	if err != nil {
		host, _, errs := net.SplitHostPort(wanted)
		if errs != nil {
			return "", errs
		}
		if l, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
			return "", err
		}
	}
	return l.Addr().String(), l.Close()
}

// startFront starts HAProxy with the configuration that others copy.
func (t *trial) startFront(ctx context.Context, haproxy string) error {
	if strings.HasSuffix(t.listen, ":0") {
		var err error
		if t.listen, err = freeAddress(t.listen); err != nil {
			return err
		}
	}
	environ := []string{"LISTEN=" + t.listen}
	for n, m := range t.members {
		environ = append(environ, fmt.Sprintf("MEMBER_%d=%s", n+1, m.address))
	}
	var err error
	if t.front, err = t.launch("haproxy", environ, haproxy, "-db", "-f", t.balancer); err != nil {
		return err
	}
	if err := t.ready(ctx, t.listen, t.front); err != nil {
		return fmt.Errorf("haproxy: %w", err)
	}
	return nil
}

// ready waits until /readyz says 200.
func (t *trial) ready(ctx context.Context, address string, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", http.NoBody)
		if err != nil {
			return err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.ended:
			return fmt.Errorf("it ended: %w\n%s", errors.Join(errEnded, p.err), p.lastLines())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", address, ctx.Err())
		case <-time.After(pollInterval):
		}
	}
}

// introduce tells what there is, and what to try.
func (t *trial) introduce() {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "\n  A cluster of %d is ready, all of it on this machine.\n    deliveries to  http://%s  (HAProxy, process %d)\n",
		members, t.listen, t.front.pid())
	for _, m := range t.members {
		_, _ = fmt.Fprintf(&b, "    %s       http://%s/ui/  (process %d)\n", m.name, m.address, m.pid())
	}
	self := t.program
	if wd, err := os.Getwd(); err == nil {
		if relative, err := filepath.Rel(wd, self); err == nil && filepath.IsLocal(relative) {
			self = relative
		}
	}
	first, url := t.members[0], ""
	if t.listen != config.Default().HTTP.Listen {
		url = " --url http://" + t.listen
	}
	_, _ = fmt.Fprintf(&b, `    store          PostgreSQL on %s, in %s
    files, logs    %s
  Send it a signed sample delivery, as GitHub would, and watch it being worked:
    %s send --source github --event pull_request --wait%s
  Kill a member, send again, and bring it back:
    kill -9 %d
    %s serve --config %s
  Ctrl-C has the members drain, stops everything, and removes both folders.

`, t.store.Address(), t.store.Dir(), t.folder, self, url, first.pid(), self, first.config)
	_, _ = io.WriteString(t.out, b.String())
}

// watch tells which processes end, until ctx does.
func (t *trial) watch(ctx context.Context) {
	for {
		select {
		case line := <-t.died:
			_, _ = fmt.Fprintln(t.out, line)
		case <-ctx.Done():
			return
		}
	}
}

// stop ends everything, from the balancer downwards. It may be called whatever was started.
func (t *trial) stop() error {
	var errs []error
	if t.front != nil {
		errs = append(errs, t.front.stop(syscall.SIGUSR1)) // it takes nothing new, and ends when all is answered
	}
	for _, m := range t.members {
		m.signal(syscall.SIGTERM)
	}
	for _, m := range t.members {
		errs = append(errs, m.stop(syscall.SIGTERM))
	}
	if t.store != nil {
		errs = append(errs, t.store.Close())
	}
	return errors.Join(errs...)
}

// tidy removes what was made; after an error the logs are left.
func (t *trial) tidy(err error) error {
	switch {
	case t.folder == "":
		return err
	case err != nil:
		return fmt.Errorf("%w\nlogs are left in %s", err, t.folder)
	default:
		return os.RemoveAll(t.folder)
	}
}
