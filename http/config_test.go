package http_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/http"
)

func TestDefaultsAreValid(t *testing.T) {
	var zero http.Config
	if err := zero.Validate(); err != nil {
		t.Errorf("the zero configuration is at fault: %v", err)
	}
	defaults := zero.WithDefaults()
	if !reflect.DeepEqual(defaults, defaults.WithDefaults()) {
		t.Error("defaults of the defaults differ")
	}
	if defaults.Listen != http.DefaultListen || defaults.MaxBodyBytes != 25<<20 || defaults.MaxHeaderBytes != 16<<10 ||
		defaults.MaxInflightRequests != 4096 || defaults.MaxInflightBytes != 256<<20 {
		t.Errorf("the defaults are %+v", defaults)
	}
	if got := zero.Ingress(); got.MaxBodyBytes != defaults.MaxBodyBytes || got.AnswerTimeout != defaults.AnswerTimeout {
		t.Errorf("the ingress gets %+v", got)
	}
}

func TestValidateNamesTheKey(t *testing.T) {
	token := digest("token")
	for name, c := range map[string]struct {
		cfg  http.Config
		want string // empty when there is no fault
	}{
		"loopback":              {http.Config{Listen: "127.0.0.1:0"}, ""},
		"loopback in IPv6":      {http.Config{Listen: "[::1]:0"}, ""},
		"localhost":             {http.Config{Listen: "localhost:0"}, ""},
		"open":                  {http.Config{Listen: ":8080"}, "set http.tokens"},
		"open in all words":     {http.Config{Listen: "0.0.0.0:8080"}, "http.listen"},
		"open with tokens":      {http.Config{Listen: ":8080", AdminTokens: []string{token}}, ""},
		"open, admin apart":     {http.Config{Listen: ":8080", AdminListen: "127.0.0.1:8081"}, ""},
		"admin open":            {http.Config{AdminListen: ":8081"}, "http.admin_listen"},
		"admin open, tokens":    {http.Config{AdminListen: ":8081", AdminTokens: []string{token}}, ""},
		"no port":               {http.Config{Listen: "localhost"}, "http.listen"},
		"admin without a port":  {http.Config{AdminListen: "localhost"}, "http.admin_listen"},
		"token in plain":        {http.Config{AdminTokens: []string{"plain-token"}}, "http.admin_tokens[0]"},
		"hashed token":          {http.Config{Listen: ":8080", Tokens: []http.Token{{Name: "ci", Hash: "sha256:" + token, Scope: "read"}}}, ""},
		"hash without function": {http.Config{Tokens: []http.Token{{Name: "ci", Hash: token, Scope: "read"}}}, "http.tokens[0]"},
		"scope unknown":         {http.Config{Tokens: []http.Token{{Name: "ci", Hash: "sha256:" + token, Scope: "root"}}}, "http.tokens[0]: scope"},
		"token without name":    {http.Config{Tokens: []http.Token{{Hash: "sha256:" + token, Scope: "read"}}}, "http.tokens[0].name"},
		"token too short":       {http.Config{AdminTokens: []string{token, token[2:]}}, "http.admin_tokens[1]"},
		"certificate alone":     {http.Config{TLSCert: "cert.pem"}, "http.tls"},
		"body":                  {http.Config{MaxBodyBytes: 1 << 30}, "max_body_bytes"},
		"inflight below a body": {http.Config{MaxInflightBytes: 1}, "max_inflight_bytes"},
		"header":                {http.Config{MaxHeaderBytes: 1}, "http.max_header_bytes"},
		"connections":           {http.Config{MaxConnections: -1}, "http.max_connections"},
		"connections per ip":    {http.Config{MaxConnectionsPerIP: -1}, "http.max_connections_per_ip"},
		"read timeout":          {http.Config{ReadTimeout: -time.Second}, "http.read_timeout"},
		"write timeout":         {http.Config{WriteTimeout: -time.Second}, "http.write_timeout"},
		"idle timeout":          {http.Config{IdleTimeout: 2 * time.Hour}, "http.idle_timeout"},
		"drain delay":           {http.Config{DrainDelay: -1}, "http.drain_delay"},
		"proxy":                 {http.Config{TrustedProxies: []string{"10.0.0.0/8", "proxy"}}, "http.trusted_proxies[1]"},
		"proxies": {
			http.Config{ClientAddress: "forwarded", TrustedProxies: []string{"10.0.0.0/8", "::1"}}, "",
		},
		"proxies, no scheme": {http.Config{TrustedProxies: []string{"::1"}}, "say by http.client_address"},
		"scheme, no proxies": {http.Config{ClientAddress: "forwarded"}, "goes with http.trusted_proxies"},
		"no such scheme":     {http.Config{ClientAddress: "x-real-ip"}, "http.client_address"},
	} {
		err := c.cfg.Validate()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want it to name %s", name, err, c.want)
		case err != nil && strings.Contains(err.Error(), "plain-token"):
			t.Errorf("%s: the error repeats the token", name)
		}
	}
}

func TestNewRefusesAFaultyConfiguration(t *testing.T) {
	if _, err := http.New(http.Config{Listen: ":8080"}, http.Dependencies{}); err == nil {
		t.Error("an open API was taken")
	}
}
