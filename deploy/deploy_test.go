// Package deploy_test holds what lies in deploy/ against the program that it is for.
package deploy_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/hooktroupe/hooktroupe/metrics"
)

const (
	alerts    = "prometheus/alerts.yaml"
	dashboard = "grafana/hooktroupe.json"
)

// promtool runs the tool of that name, which is Prometheus's own. Without it the test is skipped, and says so.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not here (make test-needs installs it): NOT CHECKED: " + strings.Join(args, " "))
	}
	if out, err := exec.Command(path, args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// rules are the alerts' expressions, by name.
func rules(t *testing.T) map[string]string {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal(read(t, alerts), &file); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			found[r.Alert] = r.Expr
		}
	}
	return found
}

// queries are the dashboard's expressions, by panel, with Grafana's variables filled in.
func queries(t *testing.T) map[string]string {
	t.Helper()
	type target struct{ Expr, RefID string }
	var file struct {
		Panels []struct {
			Title   string
			Targets []target
		}
		Annotations struct {
			List []struct{ Name, Expr string }
		}
	}
	if err := json.Unmarshal(read(t, dashboard), &file); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("$__rate_interval", "5m", "$job", "hooktroupe", "$instance", ".*")
	found := make(map[string]string)
	for _, p := range file.Panels {
		for _, q := range p.Targets {
			found[p.Title+" "+q.RefID] = fill.Replace(q.Expr)
		}
	}
	for _, a := range file.Annotations.List {
		found[a.Name] = fill.Replace(a.Expr)
	}
	return found
}

// name finds the metrics of ours, of the runtime and of the process.
var name = regexp.MustCompile(`\b(?:hooktroupe|go|process)_[a-z0-9_]+\b`)

func TestOnlyMetricsThatExistAreAskedFor(t *testing.T) {
	set := metrics.New()
	known := make(map[string]bool)
	for _, m := range set.Catalog() {
		known[m.Name] = true
		if m.Kind == "histogram" {
			known[m.Name+"_bucket"], known[m.Name+"_sum"], known[m.Name+"_count"] = true, true, true
		}
	}
	families, err := set.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "hooktroupe_") {
			known[f.GetName()] = true
		}
	}
	asked := make(map[string]bool)
	for where, expressions := range map[string]map[string]string{alerts: rules(t), dashboard: queries(t)} {
		if len(expressions) < 10 {
			t.Errorf("%s has %d expressions", where, len(expressions))
		}
		for title, expression := range expressions {
			found := name.FindAllString(expression, -1)
			if len(found) == 0 && !strings.Contains(expression, "up{") {
				t.Errorf("%s: %s asks for nothing: %s", where, title, expression)
			}
			for _, metric := range found {
				asked[metric] = true
				if !known[metric] {
					t.Errorf("%s: %s asks for %s, which there is not", where, title, metric)
				}
			}
		}
	}
	// And nobody need look at /metrics by hand for what happens to deliveries.
	for _, m := range set.Catalog() {
		shown := asked[m.Name] || asked[m.Name+"_bucket"] || asked[m.Name+"_sum"]
		if !shown && !strings.HasPrefix(m.Name, "hooktroupe_journal_") && m.Name != "hooktroupe_build_info" &&
			m.Name != "hooktroupe_source_last_accepted_timestamp_seconds" {
			t.Errorf("neither %s nor %s shows %s", alerts, dashboard, m.Name)
		}
	}
}

func TestLabelsThatAreAskedForExist(t *testing.T) {
	labels := make(map[string]map[string]bool)
	for _, m := range metrics.New().Catalog() {
		known := map[string]bool{"job": true, "instance": true, "le": true}
		for _, l := range m.Labels {
			known[l] = true
		}
		for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
			labels[m.Name+suffix] = known
		}
	}
	selector := regexp.MustCompile(`\b(hooktroupe_[a-z0-9_]+)\{([^}]*)\}`)
	label := regexp.MustCompile(`([a-z_]+)\s*(?:=~|!=|!~|=)`)
	for _, expressions := range []map[string]string{rules(t), queries(t)} {
		for title, expression := range expressions {
			for _, found := range selector.FindAllStringSubmatch(expression, -1) {
				for _, l := range label.FindAllStringSubmatch(found[2], -1) {
					if !labels[found[1]][l[1]] {
						t.Errorf("%s: %s has no label %s", title, found[1], l[1])
					}
				}
			}
		}
	}
}

func TestAlertsParse(t *testing.T)       { promtool(t, "check", "rules", alerts) }
func TestAlertsGoOffInTime(t *testing.T) { promtool(t, "test", "rules", "prometheus/alerts_test.yaml") }

// TestQueriesParse has promtool read the dashboard's expressions as if they were rules.
func TestQueriesParse(t *testing.T) {
	var text strings.Builder
	text.WriteString("groups:\n- name: dashboard\n  rules:\n")
	n := 0
	for title, expression := range queries(t) {
		n++
		quoted, err := json.Marshal(expression) // JSON is YAML
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "  - record: query:%d # %s\n    expr: %s\n", n, title, quoted)
	}
	path := filepath.Join(t.TempDir(), "queries.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", path)
}

// TestUnit has systemd read the unit.
func TestUnit(t *testing.T) {
	const unit = "systemd/hooktroupe.service"
	text := string(read(t, unit))
	for _, want := range []string{"NoNewPrivileges=yes", "DynamicUser=yes", "ProtectSystem=strict", "CapabilityBoundingSet=\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the unit lacks %q", want)
		}
	}
	path, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not here: the unit was NOT CHECKED by it")
	}
	out, err := exec.Command(path, "security", "--offline=true", "--threshold=25", unit).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze: %v\n%s", err, out)
	}
}

// TestBalancer has HAProxy read its configuration, as it is and with the variables set.
func TestBalancer(t *testing.T) {
	const file = "haproxy/haproxy.cfg"
	text := string(read(t, file))
	for _, want := range []string{"GET /readyz", "retry-on conn-failure empty-response 503", "option forwardfor", "option http-buffer-request"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s lacks %q", file, want)
		}
	}
	path, err := exec.LookPath("haproxy")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/haproxy"); err != nil {
			t.Skip("haproxy is not here (make test-needs installs it): NOT CHECKED: " + file)
		}
	}
	for _, environ := range [][]string{nil, {"LISTEN=127.0.0.1:18080", "MEMBER_1=127.0.0.1:1", "MEMBER_2=10.0.0.2:8080"}} {
		check := exec.Command(path, "-c", "-f", file)
		check.Env = append(os.Environ(), environ...)
		out, err := check.CombinedOutput()
		if err != nil || strings.Contains(string(out), "[WARNING]") {
			t.Errorf("haproxy %v: %v\n%s", environ, err, out)
		}
	}
}
