package config

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// judge looks for everything that no single value shows: references that lead nowhere, names that nothing has, rules
// across keys. It resolves secrets on the way.
type judge struct {
	config   *Config
	walker   *walker
	environ  []string
	earlier  Problems // what was wrong before it came to judge
	warnings Problems
}

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// reservedPaths begin what the daemon itself serves.
var reservedPaths = []string{"/api", "/webhooks", "/ui", "/metrics", "/debug", "/healthz", "/readyz"}

func (j *judge) run() {
	c := j.config
	if c.PersistenceFile == Default().PersistenceFile && c.DataDir != Default().DataDir {
		c.PersistenceFile = filepath.Join(c.DataDir, filepath.Base(c.PersistenceFile))
	}
	j.numbers()
	j.words()
	j.proxies()
	for i, reference := range c.HTTP.AdminTokens {
		c.HTTP.AdminTokens[i] = j.secret(fmt.Sprintf("http.admin_tokens[%d]", i), reference)
	}
	paths := make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		s := c.Sources[name]
		j.source(name, &s)
		j.aliases(name, &s, paths)
		c.Sources[name] = s
	}
	for _, name := range slices.Sorted(maps.Keys(c.Handlers)) {
		h := c.Handlers[name]
		j.handler(name, &h)
		c.Handlers[name] = h
	}
	j.remote()
	j.cluster()
	j.tracing()
	j.routes()
	if len(c.Sources) == 0 {
		j.warn("sources", "none is configured; nothing can be delivered")
	}
}

// bad notes a problem of a key, unless it may only be what an earlier one brought about.
func (j *judge) bad(path, format string, args ...any) {
	if !j.walker.follows(path, j.earlier) {
		j.walker.problem(j.walker.locate(path), path, fmt.Sprintf(format, args...))
	}
}

// knows says whether the file's values of these keys are those that are judged.
func (j *judge) knows(paths ...string) bool {
	return !slices.ContainsFunc(paths, func(path string) bool { return j.walker.follows(path, j.earlier) })
}

// warn notes what is valid, and yet may not be meant.
func (j *judge) warn(path, format string, args ...any) {
	if !j.walker.follows(path, j.earlier) {
		at := j.walker.locate(path)
		j.warnings = append(j.warnings, Problem{
			File: j.walker.file, Line: at.line, Column: at.column, Path: path, Message: fmt.Sprintf(format, args...),
		})
	}
}

// within holds a number against the range that its key is tagged with.
func (j *judge) within(path string, value float64) {
	if least, most, bounded := boundsOf(fieldAt(path)); bounded {
		if message := beyond(value, least, most); message != "" {
			j.bad(path, "%s", message)
		}
	}
}

// numbers checks what has bounds of its own. The listeners' are judged by package http.
func (j *judge) numbers() {
	c := j.config
	j.within("num_workers", float64(c.NumWorkers))
	j.within("max_retry_attempts", float64(c.MaxRetryAttempts))
	j.within("max_tasks", float64(c.MaxTasks))
	j.within("tasks.max_waiting", float64(c.Tasks.MaxWaiting))
	for path, d := range map[string]Duration{
		"cleanup_age": c.CleanupAge, "persistence_interval": c.PersistenceInterval, "shutdown_timeout": c.ShutdownTimeout,
		"tasks.timeout": c.Tasks.Timeout, "tasks.grace": c.Tasks.Grace, "tasks.backoff_base": c.Tasks.BackoffBase,
		"http.read_timeout": c.HTTP.ReadTimeout, "http.write_timeout": c.HTTP.WriteTimeout,
		"http.idle_timeout": c.HTTP.IdleTimeout,
	} {
		if d <= 0 {
			j.bad(path, "must be above 0")
		}
	}
	if q := c.Tasks.Quarantine; q != -1 && (q < 1 || q > 255) {
		j.bad("tasks.quarantine_after", "%d is neither -1 nor within 1 and 255", q)
	}
	if c.Tasks.BackoffCap < c.Tasks.BackoffBase && j.knows("tasks.backoff_base") {
		j.bad("tasks.backoff_cap", "is below tasks.backoff_base (%v)", c.Tasks.BackoffBase)
	}
	if c.Journal.HighWater <= 0 || c.Journal.HighWater > 1 {
		j.bad("journal.high_water", "%v is not above 0 and up to 1", c.Journal.HighWater)
	}
}

func (j *judge) words() {
	c := j.config
	j.oneOf("log.level", c.Log.Level)
	j.oneOf("log.format", c.Log.Format)
	if c.DataDir == "" {
		j.bad("data_dir", "empty")
	}
	if c.EnablePersistence && c.PersistenceFile == "" {
		j.bad("persistence_file", "empty")
	}
}

// oneOf holds a word against those that its key is tagged with.
func (j *judge) oneOf(path, value string) {
	if message := noneOf(value, fieldAt(path)); message != "" {
		j.bad(path, "%s", message)
	}
}

// secret resolves a reference; a problem stands in for one that leads nowhere.
func (j *judge) secret(path, reference string) string {
	if file, is := strings.CutPrefix(reference, "file:"); is && !slices.Contains(j.walker.files, file) {
		j.walker.files = append(j.walker.files, file)
	}
	value, literal, err := Resolve(reference, j.environ)
	if err != nil {
		j.bad(path, "%v", err)
		return ""
	}
	if literal {
		j.warn(path, "the secret stands in the configuration itself; use env:NAME or file:/path")
	}
	return value
}

func (j *judge) source(name string, s *Source) {
	path := "sources." + name
	if !namePattern.MatchString(name) {
		j.bad(path, "a name is 1 to 63 lower-case letters, digits, dashes and underscores")
	}
	if s.Type == "" {
		s.Type = name
	}
	s.Resolved = nil
	if s.Secret != "" {
		if value := j.secret(path+".secret", s.Secret); value != "" {
			s.Resolved = append(s.Resolved, ResolvedSecret{Value: []byte(value)})
		}
	}
	for i, one := range s.Secrets {
		if value := j.secret(fmt.Sprintf("%s.secrets[%d]", path, i), one.Value); value != "" {
			s.Resolved = append(s.Resolved,
				ResolvedSecret{Value: []byte(value), NotBefore: one.NotBefore, NotAfter: one.NotAfter})
		}
	}
	given := s.Secret != "" || len(s.Secrets) > 0
	switch {
	case !given && !s.Insecure:
		j.bad(path, "has no secret: set secret, or say insecure: true to accept everything unverified")
	case given && s.Insecure:
		j.bad(path+".insecure", "goes with no secret")
	case s.Insecure:
		j.warn(path, "insecure: everything that reaches it is accepted unverified")
	}
	j.admission(path, s)
	if (s.Type == "generic") != (s.Generic != nil) && !s.Insecure {
		j.bad(path, "type generic and the key generic go together")
	}
}

// seedAlias stands for the paths at which the servers that Hooktroupe replaces took deliveries of a type.
const seedAlias = "seed"

var seedPaths = map[string]string{
	"github": "/api/v1/github_webhooks", "gitea": "/api/v1/gitea_webhooks", "gitlab": "/webhook",
	"bitbucket_server": "/webhook", "bitbucket_cloud": "/webhook", "azure_devops": "/",
}

// aliases checks the paths of one source, and puts the seed's in the place of the word for them.
func (j *judge) aliases(name string, s *Source, taken map[string]string) {
	for i, alias := range s.Aliases {
		path := fmt.Sprintf("sources.%s.aliases[%d]", name, i)
		if alias == seedAlias {
			if alias = seedPaths[s.Type]; alias == "" {
				j.bad(path, "type %q had no path of its own", s.Type)
				continue
			}
			s.Aliases[i] = alias
		}
		switch {
		case alias == "" || alias[0] != '/' || strings.ContainsAny(alias, "?#% ") || strings.Contains(alias, "//"):
			j.bad(path, "%q is not a plain absolute path", alias)
		case isReserved(alias):
			j.bad(path, "%q is the daemon's own", alias)
		case taken[alias] != "":
			j.bad(path, "%q belongs to source %q already", alias, taken[alias])
		}
		taken[alias] = name
	}
}

// seedForm is the one form of path below /api that aliases may have.
var seedForm = regexp.MustCompile(`^/api/v1/[a-z0-9_-]+_webhooks$`)

// isReserved says whether a path is one of the daemon's.
func isReserved(alias string) bool {
	return !seedForm.MatchString(alias) && slices.ContainsFunc(reservedPaths, func(prefix string) bool {
		return alias == prefix || strings.HasPrefix(alias, prefix+"/")
	})
}

func (j *judge) handler(name string, h *Handler) {
	path := "handlers." + name
	if !namePattern.MatchString(name) {
		j.bad(path, "a name is 1 to 63 lower-case letters, digits, dashes and underscores")
	}
	switch h.Type {
	case "log":
	case "forward":
		if h.URL == "" {
			j.bad(path+".url", "type forward needs it")
		}
	case "exec":
		if len(h.Command) == 0 {
			j.bad(path+".command", "type exec needs it")
		}
	case "remote":
		if h.Kind == "" {
			h.Kind = name
		}
		if j.config.Remote.Listen == "" {
			j.bad(path+".type", "remote needs remote.listen")
		}
	default:
		j.oneOf(path+".type", h.Type)
	}
	j.limits(path, h.Concurrency, h.Rate, h.Burst)
	j.breaker(path, h.Breaker)
	for i, prefix := range h.Allow {
		if _, err := netip.ParsePrefix(prefix); err != nil {
			j.bad(fmt.Sprintf("%s.allow[%d]", path, i), "%q is not a network such as 10.0.0.0/8", prefix)
		}
	}
	j.references(path+".headers", h.Headers)
	j.references(path+".set", h.Set)
	if h.SignAs != nil {
		signAs := *h.SignAs
		signAs.Secret = j.secret(path+".sign_as.secret", signAs.Secret)
		h.SignAs = &signAs
	}
	for i, reference := range h.SigningKeys {
		h.SigningKeys[i] = j.secret(fmt.Sprintf("%s.signing_keys[%d]", path, i), reference)
	}
}

// remote checks where other processes register.
func (j *judge) remote() {
	r := j.config.Remote
	given := r.TLS.CA != "" && r.TLS.Cert != "" && r.TLS.Key != ""
	switch {
	case r.Listen == "":
	case r.Insecure && r.TLS != (RemoteTLS{}):
		j.bad("remote.insecure", "goes with no tls")
	case !r.Insecure && !given:
		j.bad("remote.tls", "ca, cert and key are needed, or insecure: true on loopback")
	}
}

// references resolves those values of a map that are references; others are meant as they are.
func (j *judge) references(path string, values map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if value := values[name]; strings.HasPrefix(value, "env:") || strings.HasPrefix(value, "file:") {
			values[name] = j.secret(path+"."+name, value)
		}
	}
}

// limits checks what bounds the attempts of a route or a handler.
func (j *judge) limits(path string, concurrency int, rate float64, burst int) {
	j.within(path+".concurrency", float64(concurrency))
	j.within(path+".burst", float64(burst))
	j.within(path+".rate", rate)
	if burst > 0 && rate == 0 && j.knows(path+".rate") {
		j.bad(path+".burst", "goes with a rate only")
	}
}

// breaker checks that of a route or a handler.
func (j *judge) breaker(path string, b Breaker) {
	if b.Failures < 0 || (b.Failures > 0) != (b.OpenFor > 0) {
		j.bad(path+".breaker", "failures and open_for are above 0 together")
	}
}

func (j *judge) routes() {
	names := make(map[string]int)
	for i := range j.config.Routes {
		r := &j.config.Routes[i]
		path := fmt.Sprintf("routes[%d]", i)
		j.route(path, r)
		if first, taken := names[r.Name]; taken {
			j.bad(path, "has the name %q of routes[%d]: give it a name of its own", r.Name, first)
		}
		names[r.Name] = i
	}
	if len(j.config.Routes) == 0 {
		j.warn("routes", "none is configured; every delivery is answered and ignored")
	}
}

// route checks one route and fills in its name and its lists.
func (j *judge) route(path string, r *Route) {
	switch {
	case r.Event != "" && len(r.Events) > 0:
		j.bad(path+".events", "goes without event")
	case r.Event == "" && len(r.Events) == 0:
		j.bad(path+".event", "empty; use * for all")
	case r.Event != "":
		r.Events = []string{r.Event}
	}
	switch {
	case r.Handler != "" && len(r.Handlers) > 0:
		j.bad(path+".handlers", "goes without handler")
	case r.Handler != "":
		r.Handlers = []string{r.Handler}
	}
	if len(r.Handlers) == 0 {
		j.bad(path+".handler", "empty")
	}
	j.endsOf(path, r)
	if r.Name == "" {
		r.Name = routeName(r)
	}
	j.within(path+".max_attempts", float64(r.MaxAttempts))
	j.limits(path, r.Concurrency, r.Rate, r.Burst)
	j.breaker(path, r.Breaker)
	if r.Policy != "" {
		j.oneOf(path+".policy", r.Policy)
	}
	if (r.Policy == "debounce") != (r.Quiet > 0) && j.knows(path+".policy") {
		j.bad(path+".quiet", "goes with policy debounce, and that with it")
	}
	if r.MaxWait > 0 && r.MaxWait < r.Quiet {
		j.bad(path+".max_wait", "is below quiet (%v)", r.Quiet)
	}
	if base, most := cmp.Or(r.BackoffBase, j.config.Tasks.BackoffBase), cmp.Or(r.BackoffCap, j.config.Tasks.BackoffCap); most < base &&
		j.knows(path+".backoff_base", "tasks.backoff_base", "tasks.backoff_cap") {
		j.bad(path+".backoff_cap", "%v is below backoff_base (%v)", most, base)
	}
}

// endsOf checks that there is what a route leads from and to.
func (j *judge) endsOf(path string, r *Route) {
	for i, h := range r.Handlers {
		if _, known := j.config.Handlers[h]; !known && !j.walker.unsure("handlers") {
			at := path + ".handler"
			if r.Handler == "" {
				at = fmt.Sprintf("%s.handlers[%d]", path, i)
			}
			j.bad(at, "there is no handler %q", h)
		}
	}
	if _, known := j.config.Sources[r.Source]; !known && !strings.ContainsAny(r.Source, "*?{") && !j.walker.unsure("sources") {
		j.bad(path+".source", "there is no source %q", r.Source)
	}
}

// routeName makes a name of source and event, in which what no name may hold is a dash: github.push.
func routeName(r *Route) string {
	text := r.Source + "." + strings.Join(r.Events, "-")
	text = strings.ReplaceAll(strings.ToLower(text), "*", "any")
	name := strings.Map(func(c rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789._-", c) {
			return c
		}
		return '-'
	}, text)
	return name[:min(len(name), 64)]
}
