package ingress

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/hooktroupe/hooktroupe/http/clientaddr"
	"github.com/hooktroupe/hooktroupe/source"
)

// PathPrefix begins the path of every source; its name ends it.
const PathPrefix = "/webhooks/"

// UnknownSource is the label under which requests to no configured source are counted and logged.
const UnknownSource = "unknown"

// Entry is one source as the ingress serves it.
type Entry struct {
	// Name is the source's, and the last segment of its path: 1 to 64 of a-z, A-Z, 0-9, dot, dash and underscore.
	Name string
	// Source verifies and reads its requests. One that is also a source.Greeter is asked first, one that is a
	// source.Concealer keeps its headers out of what is stored.
	Source source.Source
	// MaxBodyBytes bounds its bodies; zero means Config.MaxBodyBytes.
	MaxBodyBytes int
	// MaxAttempts bounds automatic attempts of its tasks; zero means the registry's default.
	MaxAttempts uint32
	// Aliases are further paths of the source, matched exactly.
	Aliases []string
	// Allow are the networks of its clients; empty means that it takes deliveries from everywhere.
	Allow clientaddr.Prefixes
	// Rate bounds its verified deliveries, in deliveries a second; zero means no bound, at most MaxRate.
	Rate float64
	// Burst is how many may come at once where there is a Rate; zero means as many as in one second, at least one. At
	// most MaxRate.
	Burst int
}

// MaxRate is the upper bound of Entry.Rate and Entry.Burst.
const MaxRate = 1_000_000

// Table says which path belongs to which source. It is immutable.
type Table struct {
	routes  map[string]*route // by path
	unknown *route
}

// route is an Entry made ready.
type route struct {
	name        string
	source      source.Source  // nil for the unknown source only
	greeter     source.Greeter // nil when the source is none
	sensitive   []string
	maxBody     int
	maxAttempts uint32
	allow       clientaddr.Prefixes // empty for everywhere
	pace        *pace               // nil for no bound
	transient   []int               // the only statuses that the sender takes for trouble of ours; nil for every 5xx
	router      Router              // who wants its deliveries
	warnings    throttle
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// reserved begin the paths of the daemon's own, which no alias may take. Below /api/ one form is left to aliases, which
// the servers took that Hooktroupe stands in for.
var (
	reserved = []string{"/api/", "/healthz", "/readyz", "/metrics", "/ui", PathPrefix}
	belowAPI = regexp.MustCompile(`^/api/v1/[a-z0-9_-]+_webhooks$`)
)

// NewTable returns the table of these entries. An error names each entry at fault: a name that is ill-formed, reserved
// or taken, an alias that is no path or taken, a bound out of range.
func NewTable(cfg Config, entries []Entry) (*Table, error) {
	cfg = cfg.WithDefaults()
	t := &Table{routes: make(map[string]*route, len(entries)), unknown: &route{name: UnknownSource}}
	var faults []error
	for _, e := range entries {
		if err := t.add(cfg, e); err != nil {
			faults = append(faults, fmt.Errorf("source %q: %w", e.Name, err))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Table) add(cfg Config, e Entry) error {
	if !namePattern.MatchString(e.Name) || e.Name == UnknownSource {
		return errors.New("name is reserved, or not up to 64 letters, digits, dots, dashes and underscores")
	}
	if e.Rate < 0 || e.Rate > MaxRate || e.Burst < 0 || e.Burst > MaxRate || e.Burst > 0 && e.Rate == 0 {
		return fmt.Errorf("rate: %v a second with a burst of %d is not within 0 and %d", e.Rate, e.Burst, MaxRate)
	}
	r := &route{
		name: e.Name, source: e.Source, maxBody: e.MaxBodyBytes, maxAttempts: e.MaxAttempts,
		allow: e.Allow, pace: newPace(e.Rate, e.Burst), transient: source.PatienceOf(e.Source).Transient,
	}
	if r.maxBody == 0 {
		r.maxBody = cfg.MaxBodyBytes
	}
	if r.maxBody < 0 || r.maxBody > LargestBody || r.maxBody > cfg.MaxInflightBytes {
		return fmt.Errorf("max_body_bytes: %d is not within 1 and %d", r.maxBody, min(LargestBody, cfg.MaxInflightBytes))
	}
	if r.source == nil {
		return errors.New("no source")
	}
	r.greeter, _ = e.Source.(source.Greeter)
	if c, ok := e.Source.(source.Concealer); ok {
		r.sensitive = c.SensitiveHeaders()
	}
	for _, alias := range e.Aliases {
		if err := checkAlias(alias); err != nil {
			return err
		}
	}
	for _, path := range append([]string{PathPrefix + e.Name}, e.Aliases...) {
		if other := t.routes[path]; other != nil {
			return fmt.Errorf("path %s belongs to source %q already", path, other.name)
		}
		t.routes[path] = r
	}
	return nil
}

func checkAlias(alias string) error {
	if alias == "" || alias[0] != '/' || strings.ContainsAny(alias, "?#%\\ ") || strings.Contains(alias, "//") {
		return fmt.Errorf("alias %q is not a plain path", alias)
	}
	if belowAPI.MatchString(alias) {
		return nil
	}
	for _, prefix := range reserved {
		if strings.HasPrefix(alias, prefix) {
			return fmt.Errorf("alias %q begins with %s, which is reserved", alias, prefix)
		}
	}
	return nil
}

// inherit takes over from an earlier table what is used of the rates, by the names of the sources.
func (t *Table) inherit(earlier *Table, now time.Time) {
	paces := make(map[string]*pace)
	for _, r := range earlier.routes {
		paces[r.name] = r.pace
	}
	for _, r := range t.routes {
		r.pace = paces[r.name].adopt(r.pace, now)
	}
}

// Owns says whether a decoded path is that of a source.
func (in *Ingress) Owns(path []byte) bool { return in.table.Load().match(path).source != nil }

// match finds the route of a decoded path. A path that belongs to no source has the route of the unknown source.
func (t *Table) match(path []byte) *route {
	if r, ok := t.routes[string(path)]; ok {
		return r
	}
	return t.unknown
}
