package config

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

const exampleHead = `# yaml-language-server: $schema=hooktroupe.schema.json
#
# The configuration of Hooktroupe with every key.
#
# A line with a space behind its # explains. One without a space holds a key as it is by default, or, where that would be
# nothing, a sample of it: take the # away to set it. As it stands, this file needs GITHUB_WEBHOOK_SECRET in the environment, and
# sends GitHub's pull requests to a worker on this machine. With every such # taken away, it is valid as well.
#
# A file that changes is taken over while the daemon runs, but for keys marked (restart).
#
#	hooktroupe config check    says everything that is wrong with a file
#	hooktroupe config show     says what file, environment and flags come to

`

// Example is an annotated file with every key.
func Example() []byte {
	e := &exampleWriter{told: make(map[string]bool)}
	e.out.WriteString(exampleHead)
	stands, full := samples()
	e.section(reflect.ValueOf(*stands), reflect.ValueOf(*full), "", false, false)
	return e.out.Bytes()
}

type exampleWriter struct {
	out  bytes.Buffer
	told map[string]bool // the fields whose sentence was written
}

// section writes the keys of a struct: those that differ from stands as comments, and of an entry with a name of the
// operator's only those that it has.
func (e *exampleWriter) section(stands, full reflect.Value, indent string, restart, entry bool) {
	t := full.Type()
	for _, field := range fieldsOf(t) {
		value := full.FieldByIndex(field.Index)
		if entry && value.IsZero() {
			continue
		}
		now := reflect.Zero(field.Type)
		if stands.IsValid() {
			now = stands.FieldByIndex(field.Index)
		}
		marked := restart || holdsFromStart(field)
		if t == reflect.TypeFor[Config]() && field.Index[0] >= seedKeys {
			if _, is := section(field.Type); is {
				e.out.WriteByte('\n')
			}
		}
		e.explain(t, field, indent, marked)
		e.key(nameOf(t, field), now, value, indent, marked, stands.IsValid(), entry)
	}
}

// explain writes the sentence of a key where it comes for the first time.
func (e *exampleWriter) explain(t reflect.Type, field reflect.StructField, indent string, restart bool) {
	doc, name := field.Tag.Get("doc"), t.Name()+"."+field.Name
	if doc == "" || e.told[name] {
		return
	}
	e.told[name] = true
	mark := ""
	if restart {
		mark = " (restart)"
	}
	fmt.Fprintf(&e.out, "%s# %s%s\n", indent, doc, mark)
}

// key writes one with its value. below says whether the section that it stands in is one that holds now.
func (e *exampleWriter) key(name string, now, value reflect.Value, indent string, restart, below, entry bool) {
	inner, is := section(value.Type())
	switch {
	case !is:
		off := ""
		if !below || !reflect.DeepEqual(now.Interface(), value.Interface()) || !entry {
			off = "#"
		}
		fmt.Fprintf(&e.out, "%s%s%s: %s\n", indent, off, name, inline(value))
	case value.Kind() == reflect.Map:
		e.line(indent, name+":", now.Len() > 0)
		for _, entry := range sampleOrder(now, value) {
			there := now.MapIndex(reflect.ValueOf(entry))
			e.line(indent+"  ", entry+":", there.IsValid())
			e.section(there, value.MapIndex(reflect.ValueOf(entry)), indent+"    ", restart, true)
		}
	case value.Kind() == reflect.Slice:
		e.line(indent, name+":", now.Len() > 0)
		for i := range value.Len() {
			there := reflect.Value{}
			if i < now.Len() {
				there = now.Index(i)
			}
			e.item(there, value.Index(i), indent+"  ", restart)
		}
	default:
		if value.Kind() == reflect.Pointer {
			value, now = value.Elem(), reflect.New(inner).Elem()
		}
		holds := below && !entry
		e.line(indent, name+":", holds)
		if !holds {
			now = reflect.Value{}
		}
		e.section(now, value, indent+"  ", restart, entry)
	}
}

func (e *exampleWriter) line(indent, text string, holds bool) {
	if !holds {
		text = "#" + text
	}
	e.out.WriteString(indent + text + "\n")
}

// item writes one of a list: its first key behind the dash, with the sentence above it.
func (e *exampleWriter) item(stands, full reflect.Value, indent string, restart bool) {
	whole := &exampleWriter{told: e.told}
	if full.Type() == reflect.TypeFor[Secret]() && full.FieldByName("NotAfter").IsZero() {
		e.line(indent, "- "+full.FieldByName("Value").String(), stands.IsValid())
		return
	}
	whole.section(stands, full, indent+"  ", restart, true)
	dashed := false
	for text := range strings.Lines(whole.out.String()) {
		body := strings.TrimPrefix(text, indent+"  ")
		switch {
		case dashed:
		case strings.HasPrefix(body, "# "):
			text = indent + body
		case strings.HasPrefix(body, "#"):
			text, dashed = indent+"#- "+body[1:], true
		default:
			text, dashed = indent+"- "+body, true
		}
		e.out.WriteString(text)
	}
}

// inline is a value in one line.
func inline(v reflect.Value) string {
	node := plain(v)
	if v.Kind() == reflect.Map || v.Kind() == reflect.Slice {
		node.Style = yaml.FlowStyle
	}
	text, err := yaml.Marshal(node)
	if err != nil {
		panic(err) // texts and numbers
	}
	return strings.ReplaceAll(strings.TrimSpace(string(text)), "\n    ", " ")
}

// sampleOrder are the names of entries: those that hold first.
func sampleOrder(now, all reflect.Value) []string {
	var first, rest []string
	for _, name := range sortedKeys(all) {
		if now.MapIndex(reflect.ValueOf(name)).IsValid() {
			first = append(first, name)
		} else {
			rest = append(rest, name)
		}
	}
	return append(first, rest...)
}

// fromEnv is a reference to an environment variable.
func fromEnv(name string) string { return "env:" + name }

// sampleSecret is the one secret that the example needs as it stands.
var sampleSecret = fromEnv("GITHUB_WEBHOOK_SECRET")

// samples are what the example says as it stands, and with every key.
func samples() (stands, full *Config) {
	stands, full = Default(), Default()
	stands.Sources = map[string]Source{"github": {Secret: sampleSecret}}
	stands.Handlers = map[string]Handler{"worker": {Type: "forward", URL: "http://127.0.0.1:3000/hook"}}
	stands.Routes = []Route{{Name: "pull-requests", Source: "github", Event: "pull_request", Handler: "worker"}}
	sampleSections(full)
	full.Sources, full.Handlers, full.Routes = sampleSources(), sampleHandlers(), sampleRoutes()
	return stands, full
}

// sampleSections give a sample of each key whose default is nothing.
func sampleSections(c *Config) {
	c.HTTP.AdminListen = "127.0.0.1:8081"
	c.HTTP.AdminTokens = []string{fromEnv("ADMIN_TOKEN")}
	c.HTTP.Tokens = []Token{{Name: "grafana", Hash: "sha256:" + strings.Repeat("0123456789abcdef", 4), Scope: "read"}}
	c.HTTP.ClientCertificates = []ClientCertificate{{Name: "on-call", Subject: "on-call.example", Scope: "operate"}}
	c.HTTP.AllowedHosts = []string{"hooks.example"}
	c.HTTP.ClientAddress, c.HTTP.TrustedProxies = "x-forwarded-for", []string{"10.0.0.0/24"}
	c.HTTP.TLS = TLS{Cert: "/etc/hooktroupe/tls.pem", Key: "/etc/hooktroupe/tls.key", ClientCA: "/etc/hooktroupe/clients.pem"}
	c.HTTP.DrainDelay = Duration(5 * time.Second)
	c.Journal.MaxBytes = 10 << 30
	c.Remote = Remote{
		Listen: "10.0.0.11:7071", Advertise: "hooks.example:7071",
		TLS: RemoteTLS{CA: "/etc/hooktroupe/ca.pem", Cert: "/etc/hooktroupe/remote.pem", Key: "/etc/hooktroupe/remote.key"},
	}
	c.Cluster.Name, c.Cluster.Listen, c.Cluster.Advertise = "node-1", "0.0.0.0:7070", "10.0.0.11:7070"
	c.Cluster.Store = fromEnv("CLUSTER_STORE")
	c.Cluster.TLS = ClusterTLS{
		CA: "/etc/hooktroupe/ca.pem", Cert: "/etc/hooktroupe/node-1.pem", Key: "/etc/hooktroupe/node-1.key",
	}
	c.Tracing.Endpoint = "http://127.0.0.1:4318"
	c.Tracing.Headers = map[string]string{"Authorization": fromEnv("OTLP_AUTHORIZATION")}
	c.Tracing.Continue = []string{"partner"}
}

func sampleSources() map[string]Source {
	return map[string]Source{
		"github": {
			Type: "github", Secret: sampleSecret, Aliases: []string{seedAlias},
			MaxBodyBytes: 10 << 20, Allow: []string{"192.0.2.0/24", "2001:db8::/32"}, Rate: 100, Burst: 500,
		},
		"gitlab": {Secrets: []Secret{
			{Value: fromEnv("GITLAB_TOKEN_NEW")},
			{
				Value: fromEnv("GITLAB_TOKEN_OLD"), NotBefore: time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC),
				NotAfter: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC),
			},
		}},
		"azure_devops": {Username: "hooks", Secret: fromEnv("AZURE_HOOK_SECRET")},
		"azure_custom": {Type: "azure_devops", Header: "X-Hook-Secret", Secret: fromEnv("AZURE_CUSTOM_SECRET")},
		"billing":      {Type: "stripe", Secret: fromEnv("STRIPE_SECRET"), Tolerance: Duration(5 * time.Minute)},
		"partner": {Type: "generic", Secret: fromEnv("PARTNER_SECRET"), Generic: &Generic{
			Scheme: "hmac", Header: "X-Signature", Algorithm: "sha256", Encoding: "hex", Prefix: "sha256=",
			EventHeader: "X-Event", IDHeader: "X-Request-Id", KeyPath: "order.id",
		}},
		"legacy": {Type: "generic", Secret: fromEnv("LEGACY_TOKEN"), Generic: &Generic{
			Scheme: "token", Header: "X-Token", EventPath: "kind", IDPath: "id",
		}},
		"trial": {Type: "standard_webhooks", Insecure: true},
	}
}

func sampleHandlers() map[string]Handler {
	return map[string]Handler{
		"worker": {
			Type: "forward", Timeout: Duration(time.Minute), Concurrency: 3, Rate: 10, Burst: 20,
			Breaker: Breaker{Failures: 5, OpenFor: Duration(30 * time.Second)}, URL: "http://127.0.0.1:3000/hook",
			Headers: map[string]string{"Authorization": fromEnv("WORKER_AUTHORIZATION")}, PassHeaders: []string{"X-GitHub-Event"},
			Allow: []string{"10.0.0.0/8"}, CA: "/etc/hooktroupe/worker-ca.pem", Cert: "/etc/hooktroupe/worker.pem",
			Key: "/etc/hooktroupe/worker.key", MaxResponseBytes: 2 << 10, DiscardStatuses: []int{400, 410, 422},
			SigningKeys: []string{fromEnv("WORKER_SIGNING_KEY")},
		},
		"signed": {
			Type: "forward", URL: "https://worker.example/hook",
			SignAs: &SignAs{Type: "azure_devops", Secret: fromEnv("WORKER_PASSWORD"), Username: "hooks"},
		},
		"review": {
			Type: "exec", Command: []string{"/usr/local/bin/review", "--from-stdin"}, Dir: "/var/lib/review",
			Env: []string{"PATH", "HOME"}, Set: map[string]string{"REVIEW_TOKEN": fromEnv("REVIEW_TOKEN")},
			Arguments: []string{"payload.number"}, Variables: map[string]string{"REPOSITORY": "payload.repository.full_name"},
			KillGrace: Duration(10 * time.Second), MaxOutputBytes: 2 << 10, MaxMemory: 1 << 30, MaxCPU: Duration(time.Minute),
			DiscardCodes: []int{2},
		},
		"far":   {Type: "remote", Kind: "triage"},
		"audit": {Type: "log"},
	}
}

func sampleRoutes() []Route {
	return []Route{
		{
			Name: "pull-requests", Source: "github", Event: "pull_request", Filter: "not payload.pull_request.draft",
			Key: `payload.repository.full_name + "#" + string(payload.number)`, Handler: "worker", Policy: "debounce",
			Quiet: Duration(10 * time.Second), MaxWait: Duration(2 * time.Minute), Timeout: Duration(5 * time.Minute),
			Deadline: Duration(24 * time.Hour), MaxAttempts: 5, MaxElapsed: Duration(6 * time.Hour),
			BackoffBase: Duration(2 * time.Second), BackoffCap: Duration(10 * time.Minute), Concurrency: 2, Rate: 5, Burst: 10,
			Breaker: Breaker{Failures: 10, OpenFor: Duration(time.Minute)},
		},
		{Source: "git*", Events: []string{"push", "merge_request.{open,update}"}, Handlers: []string{"review", "far"}, Continue: true},
		{Source: "partner", Event: "*", Handler: "signed"},
		{Source: "*", Event: "*", Handler: "audit"},
	}
}
