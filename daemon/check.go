package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/http/ingress"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/metrics"
	"github.com/hooktroupe/hooktroupe/route"
)

// Examine builds everything that a configuration describes, one part after the other, starts nothing, and says everything
// that it finds: what only the parts themselves can judge, such as an expression that does not compile, a program that does
// not exist or a certificate that cannot be read; routes that nothing reaches; and, as warnings, what no route uses. The
// configuration may have problems that are known already: config.Report.Add tells what is new.
func Examine(cfg *config.Config) []config.Finding {
	log := logrus.New()
	log.SetLevel(logrus.PanicLevel)
	e := &examiner{daemon: daemon{
		config: cfg, options: Options{Logger: log}, clock: clock.Real{}, log: log, metrics: metrics.New(),
	}}
	e.sources()
	e.handlers()
	e.routes()
	e.limits()
	e.identities()
	if err := e.cleanup.run(log); err != nil {
		e.found("", err)
	}
	return e.findings
}

type examiner struct {
	daemon
	findings []config.Finding
}

// found notes an error of what is built of a key. Where its text goes on with the name of a key below, it is about that one.
func (e *examiner) found(path string, err error) {
	for _, one := range parts(err) {
		at, message := path, one.Error()
		for {
			name, rest, more := strings.Cut(message, ": ")
			below := strings.TrimPrefix(at+"."+name, ".")
			if !more || !config.IsKey(below) {
				break
			}
			at, message = below, rest
		}
		e.add(at, column(&message), message)
	}
}

func (e *examiner) add(path string, column int, message string) {
	e.findings = append(e.findings, config.Finding{Path: path, Column: column, Message: message})
}

func (e *examiner) warn(path, message string) {
	e.findings = append(e.findings, config.Finding{Path: path, Message: message, Warning: true})
}

// parts are the errors that were joined to one.
func parts(err error) []error {
	if err == nil {
		return nil
	}
	joined, is := err.(interface{ Unwrap() []error })
	if !is || !strings.Contains(err.Error(), "\n") {
		return []error{err}
	}
	var all []error
	for _, one := range joined.Unwrap() {
		all = append(all, parts(one)...)
	}
	return all
}

// column is what a message says of the place in an expression, which it then says no more.
func column(message *string) int {
	rest, is := strings.CutPrefix(*message, "column ")
	number, behind, more := strings.Cut(rest, ": ")
	at, err := strconv.Atoi(number)
	if !is || !more || err != nil {
		return 0
	}
	*message = behind
	return at
}

func (e *examiner) sources() {
	var entries []ingress.Entry
	for _, name := range slices.Sorted(maps.Keys(e.config.Sources)) {
		path := "sources." + name
		built, err := Source(e.config, name)
		if err != nil {
			e.found(path, errors.New(strings.TrimPrefix(err.Error(), path+".")))
			continue
		}
		s := e.config.Sources[name]
		entries = append(entries, ingress.Entry{
			Name: name, Source: built, MaxBodyBytes: int(s.MaxBodyBytes), Aliases: s.Aliases, Rate: float64(s.Rate), Burst: s.Burst,
		})
	}
	c := e.httpConfig()
	err := c.Validate()
	e.found("", err)
	if err != nil || len(entries) == 0 {
		return
	}
	_, err = ingress.NewTable(c.Ingress(), entries)
	for _, one := range parts(err) {
		path, message := "sources", one.Error()
		if rest, is := strings.CutPrefix(message, "source "); is {
			quoted, behind, _ := strings.Cut(rest, ": ")
			if name, err := strconv.Unquote(quoted); err == nil {
				path, message = path+"."+name, behind
			}
		}
		e.found(path, errors.New(message))
	}
}

func (e *examiner) handlers() {
	for _, name := range slices.Sorted(maps.Keys(e.config.Handlers)) {
		path, h := "handlers."+name, e.config.Handlers[name]
		for i, text := range h.Arguments {
			_, err := route.Compile(text)
			e.found(fmt.Sprintf("%s.arguments[%d]", path, i), err)
		}
		for _, variable := range slices.Sorted(maps.Keys(h.Variables)) {
			_, err := route.Compile(h.Variables[variable])
			e.found(path+".variables."+variable, err)
		}
		h.Arguments, h.Variables = nil, nil // one of them would hide what else is wrong
		_, closes, err := e.handler(h)
		if err != nil {
			e.found(path, err)
			continue
		}
		closes()
	}
}

// routes compiles them one by one, and looks for what nothing reaches.
func (e *examiner) routes() {
	var configs []route.Config
	sources := slices.Sorted(maps.Keys(e.config.Sources))
	used, reached := make(map[string]bool), make(map[string]bool)
	for i, c := range e.config.Routes {
		configs = append(configs, route.Config{
			Name: c.Name, Source: c.Source, Events: c.Events, Filter: c.Filter, Key: c.Key, Continue: c.Continue,
			Handlers: c.Handlers,
		})
		_, err := route.New(configs[i:])
		for _, one := range parts(err) {
			e.uncompiled(i, one)
		}
		for _, name := range c.Handlers {
			used[name] = true
		}
		for _, source := range sources {
			if matches, err := route.Matches(c.Source, source); matches || err != nil {
				reached[source] = true
			}
		}
	}
	e.hidden(route.FindHidden(configs, sources))
	if len(configs) == 0 {
		return // which is said already
	}
	for _, name := range sources {
		if !reached[name] {
			e.warn("sources."+name, "no route takes its deliveries: they are answered 200 and ignored")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.config.Handlers)) {
		if !used[name] {
			e.warn("handlers."+name, "no route leads to it")
		}
	}
}

// uncompiled notes what is wrong with a route.
func (e *examiner) uncompiled(i int, err error) {
	path, wrong := fmt.Sprintf("routes[%d]", i), (*route.Error)(nil)
	if !errors.As(err, &wrong) {
		e.add(path, 0, err.Error())
		return
	}
	field := wrong.Field
	if c := e.config.Routes[i]; field == "events" && c.Event != "" || field == "handlers" && c.Handler != "" {
		field = strings.TrimSuffix(field, "s")
	}
	e.add(path+"."+field, wrong.Column, wrong.Err.Error())
}

// hidden notes routes that nothing reaches.
func (e *examiner) hidden(found []route.Hidden) {
	for _, h := range found {
		path := fmt.Sprintf("routes[%d]", h.Route)
		if len(h.By) == 0 {
			if len(e.config.Sources) > 0 {
				e.warn(path+".source", "there is no source that it matches")
			}
			continue
		}
		var by []string
		for _, i := range h.By {
			by = append(by, fmt.Sprintf("routes[%d] (%s)", i, e.config.Routes[i].Name))
		}
		all := strings.Join(by, " and ")
		if h.Unless {
			e.warn(path, "is reached only where a key fails: everything it could match is taken by "+all+" before it")
			continue
		}
		e.add(path, 0, "is never reached: everything it could match is taken by "+all+
			" before it; move it up, or let that one continue")
	}
}

// limits judges what holds for the whole daemon.
func (e *examiner) limits() {
	e.found("", e.actorsConfig().WithDefaults().Validate())
	e.found("journal", e.walConfig().WithDefaults().Validate())
}

// identities reads what the daemon shows who connects, and those whom it believes.
func (e *examiner) identities() {
	h, r, c := e.config.HTTP.TLS, e.config.Remote, e.config.Cluster
	e.identity("http.tls", h.Cert, h.Key, "client_ca", h.ClientCA)
	if r.Listen != "" {
		e.identity("remote.tls", r.TLS.Cert, r.TLS.Key, "ca", r.TLS.CA)
	}
	if c.Enabled {
		e.identity("cluster.tls", c.TLS.Cert, c.TLS.Key, "ca", c.TLS.CA)
	}
}

func (e *examiner) identity(path, cert, key, name, authorities string) {
	if cert != "" && key != "" {
		if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
			e.add(path+".cert", 0, err.Error())
		}
	}
	if authorities == "" {
		return
	}
	text, err := os.ReadFile(authorities)
	switch {
	case err != nil:
		e.add(path+"."+name, 0, err.Error())
	case !x509.NewCertPool().AppendCertsFromPEM(text):
		e.add(path+"."+name, 0, authorities+" holds no certificate in PEM")
	}
}
