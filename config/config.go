// Package config is the daemon's configuration as data: defaults, then the file, then the environment, then flags, and
// then judged as a whole. An unknown key is an error that names its line and the nearest valid key; all problems are
// reported at once. Secrets are given by reference and never printed. The package builds nothing: package daemon turns
// the data into listeners, sources and handlers.
package config

import "time"

// Config is everything an operator can set. The keys of the seed stand at the top level under their own names, in any
// letter case; the rest is nested, in lower case.
type Config struct {
	NumWorkers          int      `koanf:"num_workers" range:"1,10000" reload:"restart" doc:"How many attempts run at once, 1 to 10000."`
	MaxRetryAttempts    int      `koanf:"max_retry_attempts" range:"1,65535" doc:"Attempts of a task before it stays failed, 1 to 65535."`
	CleanupAge          Duration `koanf:"cleanup_age" doc:"How long a finished task is remembered, dead letters included."`
	EnablePersistence   bool     `koanf:"enable_persistence" reload:"restart" doc:"Whether anything is kept on disk."`
	PersistenceFile     string   `koanf:"persistence_file" reload:"restart" doc:"The task file; below data_dir when relative and data_dir is set."`
	PersistenceInterval Duration `koanf:"persistence_interval" doc:"The time between snapshots with the task file. There are more in between, without it, when the journal grows."`
	MaxTasks            int      `koanf:"max_tasks" range:"1,1073741824" doc:"How many finished tasks are remembered; dead letters do not count."`
	DetailedLogging     bool     `koanf:"detailed_logging" doc:"Logs at level debug."`

	DataDir         string   `koanf:"data_dir" reload:"restart" doc:"The folder of journal, snapshot and task file."`
	ShutdownTimeout Duration `koanf:"shutdown_timeout" doc:"How long running attempts may take to end on SIGTERM."`
	Log             Log      `koanf:"log" doc:"What is logged, to standard error."`
	HTTP            HTTP     `koanf:"http" doc:"The listeners, and who may use the status API."`
	Tasks           Tasks    `koanf:"tasks" doc:"Bounds of the work."`
	Journal         Journal  `koanf:"journal" doc:"The journal on disk."`
	Remote          Remote   `koanf:"remote" doc:"Where handlers of other processes and hosts register."`
	Cluster         Cluster  `koanf:"cluster" reload:"restart" doc:"Makes the daemon a member of a cluster."`
	Tracing         Tracing  `koanf:"tracing" reload:"restart" doc:"OpenTelemetry traces of deliveries."`

	Sources  map[string]Source  `koanf:"sources" doc:"Who sends. Deliveries of the source NAME come to /webhooks/NAME."`
	Handlers map[string]Handler `koanf:"handlers" doc:"What works tasks. Which keys apply depends on the type."`
	Routes   []Route            `koanf:"routes" doc:"Which handlers a delivery goes to. The first route that matches wins, unless it says to continue."`
}

// Log says what is logged, and how. Logs go to standard error.
type Log struct {
	Level  string `koanf:"level" enum:"debug,info,warn,error" doc:"debug, info, warn or error."`
	Format string `koanf:"format" enum:"auto,json,text" reload:"restart" doc:"json, text, or auto: text on a terminal, else json."`
}

// HTTP bounds the listeners.
type HTTP struct {
	Listen              string              `koanf:"listen" reload:"restart" doc:"host:port for deliveries and, without admin_listen, for everything else."`
	AdminListen         string              `koanf:"admin_listen" reload:"restart" doc:"host:port for the status API, probes and metrics."`
	AdminTokens         []string            `koanf:"admin_tokens" doc:"References to bearer tokens for the status API and metrics."`
	Tokens              []Token             `koanf:"tokens" doc:"Bearer tokens that are kept as hashes, each with its scope, as hooktroupe token prints them: {name, hash, scope}."`
	ClientCertificates  []ClientCertificate `koanf:"client_certificates" doc:"Certificates of tls.client_ca that open the status API like tokens: {name, subject, scope}."`
	AllowedHosts        []string            `koanf:"allowed_hosts" doc:"Host names that requests to the API may use beside loopback ones."`
	ClientAddress       string              `koanf:"client_address" enum:"none,forwarded,x-forwarded-for,proxy-protocol" reload:"restart" doc:"How trusted_proxies name the client: forwarded, x-forwarded-for or proxy-protocol; none: the peer is the client."`
	TrustedProxies      []string            `koanf:"trusted_proxies" reload:"restart" doc:"Addresses or networks of the proxies that are believed; goes with client_address."`
	TLS                 TLS                 `koanf:"tls" reload:"restart" doc:"The certificate of every listener; plain HTTP without."`
	MaxBodyBytes        Bytes               `koanf:"max_body_bytes" doc:"Largest body of one delivery, at most 60MiB."`
	MaxHeaderBytes      Bytes               `koanf:"max_header_bytes" reload:"restart" doc:"Largest header block, 4KiB to 1MiB."`
	MaxConnections      int                 `koanf:"max_connections" reload:"restart" doc:"Open connections of one listener."`
	MaxConnectionsPerIP int                 `koanf:"max_connections_per_ip" reload:"restart" doc:"Open connections of one peer's address; loopback and trusted_proxies have no bound."`
	MaxInflightRequests int                 `koanf:"max_inflight_requests" doc:"Deliveries that are read or wait for their answer."`
	MaxInflightBytes    Bytes               `koanf:"max_inflight_bytes" doc:"Memory of their bodies together."`
	ReadTimeout         Duration            `koanf:"read_timeout" reload:"restart" doc:"Longest arrival of one request."`
	WriteTimeout        Duration            `koanf:"write_timeout" reload:"restart" doc:"Longest sending of one response."`
	IdleTimeout         Duration            `koanf:"idle_timeout" reload:"restart" doc:"Longest wait for the next request of a connection."`
	DrainDelay          Duration            `koanf:"drain_delay" reload:"restart" doc:"How long deliveries are taken after /readyz said no, on SIGTERM."`
}

// Token is a bearer token of which only the hash is known.
type Token struct {
	Name  string `koanf:"name" required:"true" doc:"Written to the audit; unique."`
	Hash  string `koanf:"hash" required:"true" doc:"sha256: and 64 hex digits."`
	Scope string `koanf:"scope" required:"true" enum:"read,operate,admin" doc:"read, operate or admin."`
}

// ClientCertificate is a certificate that opens the status API.
type ClientCertificate struct {
	Name    string `koanf:"name" required:"true" doc:"Written to the audit; unique, also among tokens."`
	Subject string `koanf:"subject" required:"true" doc:"Its common name or one of its alternative names."`
	Scope   string `koanf:"scope" required:"true" enum:"read,operate,admin" doc:"read, operate or admin."`
}

// TLS names the files of the listeners' certificate.
type TLS struct {
	Cert string `koanf:"cert" doc:"PEM file of the certificate chain; read again when it changes."`
	Key  string `koanf:"key" doc:"PEM file of its key."`

	ClientCA string `koanf:"client_ca" doc:"PEM file of the authorities of http.client_certificates."`
}

// Tasks bounds the work.
type Tasks struct {
	Timeout     Duration `koanf:"timeout" doc:"Longest attempt, where handler or route say nothing else."`
	Grace       Duration `koanf:"grace" doc:"How long after its deadline a handler may take before it is abandoned."`
	BackoffBase Duration `koanf:"backoff_base" doc:"Upper bound of the first wait between attempts; it doubles."`
	BackoffCap  Duration `koanf:"backoff_cap" doc:"Upper bound of every wait."`
	Quarantine  int      `koanf:"quarantine_after" doc:"Panics in a row that make a task a dead letter; -1 for never."`
	MaxWaiting  int      `koanf:"max_waiting" range:"1,1073741824" doc:"Unfinished tasks beyond which deliveries are refused with 503."`
}

// Journal bounds the journal on disk.
type Journal struct {
	SegmentBytes Bytes   `koanf:"segment_bytes" reload:"restart" doc:"Size of one segment file."`
	MaxBytes     Bytes   `koanf:"max_bytes" reload:"restart" doc:"Budget of disk; 0 for no bound but the disk's."`
	HighWater    float64 `koanf:"high_water" reload:"restart" doc:"Part of max_bytes beyond which deliveries are refused with 503."`
}

// Remote is where handlers in other processes register, for handlers of type remote.
type Remote struct {
	Listen    string    `koanf:"listen" reload:"restart" doc:"host:port at which handlers of other processes and hosts register; empty for none."`
	Advertise string    `koanf:"advertise" reload:"restart" doc:"host:port under which they call back; listen when empty."`
	TLS       RemoteTLS `koanf:"tls" reload:"restart" doc:"The identity towards those handlers."`
	Insecure  bool      `koanf:"insecure" reload:"restart" doc:"Waives TLS, where every address is a loopback one."`
}

// RemoteTLS names the files of the daemon's identity towards remote handlers.
type RemoteTLS struct {
	CA   string `koanf:"ca" doc:"PEM file of the authority that signs both sides."`
	Cert string `koanf:"cert" doc:"PEM file of the daemon's certificate; read again when it changes."`
	Key  string `koanf:"key" doc:"PEM file of its key."`
}

// Source is one sender. Its deliveries come to /webhooks/NAME.
type Source struct {
	Type         string   `koanf:"type" doc:"What kind of sender; the name itself when empty."`
	Secret       string   `koanf:"secret" doc:"Reference to the secret."`
	Secrets      []Secret `koanf:"secrets" doc:"References to several secrets, during a rotation."`
	Insecure     bool     `koanf:"insecure" doc:"Accepts everything unverified; goes with no secret."`
	Username     string   `koanf:"username" doc:"User of basic authentication."`
	Header       string   `koanf:"header" doc:"azure_devops: custom header that holds the secret, in place of basic authentication."`
	Tolerance    Duration `koanf:"tolerance" doc:"Largest age of a signed time stamp."`
	Aliases      []string `koanf:"aliases" doc:"Further paths, matched exactly; the word seed stands for the path of the server that ran before."`
	MaxBodyBytes Bytes    `koanf:"max_body_bytes" doc:"Largest body of this source; http.max_body_bytes when 0."`
	Allow        []string `koanf:"allow" doc:"Addresses or networks that may deliver; others are answered 403. Everybody when empty."`
	Rate         Rate     `koanf:"rate" doc:"Verified deliveries it may send: 100/s, 30/m, 5/h; beyond, 503. No bound when 0."`
	Burst        int      `koanf:"burst" range:"0,1000000" doc:"How many may come at once where there is a rate; those of one second when 0."`
	Generic      *Generic `koanf:"generic" doc:"type generic: how the sender proves itself, and where its deliveries say what they are."`

	// Resolved are the secrets that the references led to.
	Resolved []ResolvedSecret `koanf:"-"`
}

// Secret is one of several. In the file it is a reference, or a map with bounds of validity.
type Secret struct {
	Value     string    `koanf:"value" required:"true" doc:"Reference to the secret."`
	NotBefore time.Time `koanf:"not_before" doc:"Accepted from then on (RFC 3339)."`
	NotAfter  time.Time `koanf:"not_after" doc:"Accepted until then (RFC 3339)."`
}

// ResolvedSecret is what a reference led to. It prints as ***.
type ResolvedSecret struct {
	Value               []byte
	NotBefore, NotAfter time.Time
}

// String hides the value.
func (ResolvedSecret) String() string { return hidden }

// GoString hides the value.
func (ResolvedSecret) GoString() string { return hidden }

// Generic describes a sender that has no type of its own.
type Generic struct {
	Scheme      string `koanf:"scheme" enum:"hmac,token,basic,bearer" doc:"hmac, token, basic or bearer."`
	Header      string `koanf:"header" doc:"Header of the signature or token."`
	Algorithm   string `koanf:"algorithm" enum:"sha256,sha1,sha384,sha512" doc:"sha256, sha1, sha384 or sha512."`
	Encoding    string `koanf:"encoding" enum:"hex,base64" doc:"hex or base64."`
	Prefix      string `koanf:"prefix" doc:"Text before the signature, such as sha256=."`
	EventHeader string `koanf:"event_header" doc:"Header of the event type."`
	EventPath   string `koanf:"event_path" doc:"Dotted path of the event type in a JSON body."`
	IDHeader    string `koanf:"id_header" doc:"Header of the delivery ID."`
	IDPath      string `koanf:"id_path" doc:"Dotted path of the delivery ID."`
	KeyPath     string `koanf:"key_path" doc:"Dotted path of the ordering key."`
}

// Handler is what works tasks. Which fields apply depends on the type.
type Handler struct {
	Type    string   `koanf:"type" required:"true" enum:"log,forward,exec,remote" doc:"log, forward, exec or remote."`
	Timeout Duration `koanf:"timeout" doc:"Longest attempt; tasks.timeout when 0."`

	Concurrency int     `koanf:"concurrency" range:"0,10000" doc:"Attempts of this handler at one time, of all routes; 0 for no bound but NUM_WORKERS."`
	Rate        float64 `koanf:"rate" range:"0,1000000" doc:"Attempts of this handler that start in a second; 0 for no bound."`
	Burst       int     `koanf:"burst" range:"0,1000000" doc:"How many may start at once where there is a rate."`
	Breaker     Breaker `koanf:"breaker" doc:"Keeps attempts back where they fail one after the other."`

	Kind string `koanf:"kind" doc:"remote: what handlers of other processes register as; the handler's name when empty."`

	URL              string            `koanf:"url" doc:"forward: where deliveries go."`
	Headers          map[string]string `koanf:"headers" doc:"forward: headers to add; values may be references."`
	PassHeaders      []string          `koanf:"pass_headers" doc:"forward: the only headers of the sender that pass."`
	Allow            []string          `koanf:"allow" doc:"forward: private networks that may be dialled."`
	CA               string            `koanf:"ca" doc:"forward: PEM file of the only trusted authorities."`
	Cert             string            `koanf:"cert" doc:"forward: PEM file of the client certificate."`
	Key              string            `koanf:"key" doc:"forward: PEM file of its key."`
	MaxResponseBytes Bytes             `koanf:"max_response_bytes" doc:"forward: how much of the response is kept, at most 4KiB."`
	DiscardStatuses  []int             `koanf:"discard_statuses" doc:"forward: statuses that fail the task for good; 400, 410, 413, 415 and 422 when empty."`
	SigningKeys      []string          `koanf:"signing_keys" doc:"forward: references to Standard Webhooks keys."`
	SignAs           *SignAs           `koanf:"sign_as" doc:"forward: signs as the sender of a source does."`

	Command        []string          `koanf:"command" doc:"exec: the program and its arguments; no shell."`
	Dir            string            `koanf:"dir" doc:"exec: the working directory."`
	Env            []string          `koanf:"env" doc:"exec: variables of the daemon that the program sees."`
	Set            map[string]string `koanf:"set" doc:"exec: variables to set; values may be references."`
	Arguments      []string          `koanf:"arguments" doc:"exec: further arguments: expressions as in a route's filter."`
	Variables      map[string]string `koanf:"variables" doc:"exec: variables to set, by expressions; one that gives nil is not set."`
	KillGrace      Duration          `koanf:"kill_grace" doc:"exec: time between SIGTERM and SIGKILL."`
	MaxOutputBytes Bytes             `koanf:"max_output_bytes" doc:"exec: how much of standard output is kept, at most 4KiB."`
	MaxMemory      Bytes             `koanf:"max_memory" doc:"exec: memory of each process; 0 for no bound."`
	MaxCPU         Duration          `koanf:"max_cpu" doc:"exec: processor time of each process; 0 for no bound."`
	DiscardCodes   []int             `koanf:"discard_codes" doc:"exec: exit codes that fail the task for good; 75 never does."`
}

// Route sends the events of a source to handlers. The first route that matches wins, unless it says to continue.
type Route struct {
	Name     string   `koanf:"name" doc:"Unique; tasks remember it. Made from source and event when empty."`
	Source   string   `koanf:"source" required:"true" doc:"A source, or a glob such as * or {gitea,forgejo}."`
	Event    string   `koanf:"event" doc:"An event type or a glob; without a dot it also stands for the event with any action."`
	Events   []string `koanf:"events" doc:"Several of them."`
	Filter   string   `koanf:"filter" doc:"An expression that must be true, over source, event, key, header(), headers and payload."`
	Key      string   `koanf:"key" doc:"An expression for the ordering key; the source's own when empty."`
	Continue bool     `koanf:"continue" doc:"Goes on to the next routes after a match."`
	Handler  string   `koanf:"handler" doc:"A handler."`
	Handlers []string `koanf:"handlers" doc:"Several of them; each has its own attempts and outcome."`

	Policy  string   `koanf:"policy" enum:"parallel,serial,coalesce,debounce,supersede" doc:"How tasks of one key relate: parallel, serial, coalesce, debounce or supersede."`
	Quiet   Duration `koanf:"quiet" doc:"debounce: how long no newer task may have come."`
	MaxWait Duration `koanf:"max_wait" doc:"debounce: longest wait after the first of a burst; 0 for no bound."`

	Timeout     Duration `koanf:"timeout" doc:"Longest attempt; the handler's when 0."`
	Deadline    Duration `koanf:"deadline" doc:"When a task fails whatever attempts are left; 0 for never."`
	MaxAttempts int      `koanf:"max_attempts" range:"0,65535" doc:"Attempts; MAX_RETRY_ATTEMPTS when 0."`
	MaxElapsed  Duration `koanf:"max_elapsed" doc:"Longest time until the last automatic attempt starts; 0 for no bound."`
	BackoffBase Duration `koanf:"backoff_base" doc:"As tasks.backoff_base, which holds when 0."`
	BackoffCap  Duration `koanf:"backoff_cap" doc:"As tasks.backoff_cap, which holds when 0."`

	Concurrency int     `koanf:"concurrency" range:"0,10000" doc:"Attempts of this route at one time; 0 for no bound but NUM_WORKERS."`
	Rate        float64 `koanf:"rate" range:"0,1000000" doc:"Attempts of this route that start in a second; 0 for no bound."`
	Burst       int     `koanf:"burst" range:"0,1000000" doc:"How many may start at once where there is a rate."`
	Breaker     Breaker `koanf:"breaker" doc:"Keeps attempts back where they fail one after the other."`
}

// SignAs signs forwarded deliveries as another sender would, for a sink that verifies that sender's signatures itself.
type SignAs struct {
	Type     string `koanf:"type" required:"true" doc:"forward: type of the source whose signature is put on."`
	Secret   string `koanf:"secret" required:"true" doc:"forward: reference to the secret of that signature."`
	Username string `koanf:"username" doc:"forward: user, where the type has basic authentication."`
}

// Breaker keeps attempts from a handler that fails, or from all handlers of a route.
type Breaker struct {
	Failures int      `koanf:"failures" doc:"Failures in a row that open it; 0 for no breaker."`
	OpenFor  Duration `koanf:"open_for" doc:"How long nothing is tried before one probe is."`
}

// Tracing sends OpenTelemetry traces of deliveries to a collector. It is off without an endpoint.
type Tracing struct {
	Endpoint    string            `koanf:"endpoint" doc:"URL of a collector that takes OTLP over HTTP; without a path it is /v1/traces. Empty: no traces."`
	SampleRatio float64           `koanf:"sample_ratio" range:"0,1" doc:"The part of the traces that is recorded, 0 to 1; decided once for each."`
	Headers     map[string]string `koanf:"headers" doc:"Headers of each export; env:NAME or file:/path for secrets."`
	Continue    []string          `koanf:"continue" doc:"Sources whose senders' traces go on here; those of others are linked to."`
	Service     string            `koanf:"service" doc:"What the daemon calls itself in traces."`
}

// Default returns the configuration before file, environment and flags. It has no source, handler or route.
func Default() *Config {
	return &Config{
		NumWorkers: 5, MaxRetryAttempts: 3, CleanupAge: Duration(24 * time.Hour), EnablePersistence: true,
		PersistenceFile: "data/webhook_tasks.json", PersistenceInterval: Duration(300 * time.Second), MaxTasks: 100_000,
		DataDir: "data", ShutdownTimeout: Duration(30 * time.Second),
		Log: Log{Level: "info", Format: "auto"},
		HTTP: HTTP{
			Listen: "127.0.0.1:8080", ClientAddress: "none", MaxBodyBytes: 25 << 20, MaxHeaderBytes: 16 << 10,
			MaxConnections: 4096, MaxConnectionsPerIP: 1024, MaxInflightRequests: 4096, MaxInflightBytes: 256 << 20,
			ReadTimeout: Duration(30 * time.Second), WriteTimeout: Duration(30 * time.Second),
			IdleTimeout: Duration(75 * time.Second),
		},
		Tasks: Tasks{
			Timeout: Duration(30 * time.Second), Grace: Duration(5 * time.Second),
			BackoffBase: Duration(time.Second), BackoffCap: Duration(5 * time.Minute), Quarantine: 3, MaxWaiting: 1_000_000,
		},
		Tracing: Tracing{SampleRatio: 1, Service: "hooktroupe"},
		Journal: Journal{SegmentBytes: 64 << 20, HighWater: 0.9},
		Cluster: defaultCluster(),
	}
}
