package config_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/config"
)

func TestAdmissionIsRead(t *testing.T) {
	cfg, _, err := load(t, `
http: {client_address: proxy-protocol, trusted_proxies: [10.0.0.1, "fd00::/8"]}
sources:
  github: {secret: env:S, allow: [140.82.112.0/20, "2a0a:a440::/29"], rate: 30/m, burst: 20}
`, "S="+hush, "HOOKTROUPE_SOURCES__GITHUB__ALLOW=192.0.2.1,198.51.100.0/24")
	if err != nil {
		t.Fatal(err)
	}
	github := cfg.Sources["github"]
	if cfg.HTTP.ClientAddress != "proxy-protocol" || len(cfg.HTTP.TrustedProxies) != 2 ||
		strings.Join(github.Allow, " ") != "192.0.2.1 198.51.100.0/24" || github.Rate != 0.5 || github.Burst != 20 {
		t.Errorf("got %+v, %+v", cfg.HTTP, github)
	}
	shown, err := config.Show(cfg)
	if err != nil || !strings.Contains(string(shown), "rate: 30/m") {
		t.Errorf("%v, shown:\n%s", err, shown)
	}
}

func TestAdmissionIsOffByDefault(t *testing.T) {
	cfg, _, err := load(t, "sources: {github: {secret: env:S}}", "S="+hush)
	if err != nil {
		t.Fatal(err)
	}
	github := cfg.Sources["github"]
	if cfg.HTTP.ClientAddress != "none" || len(cfg.HTTP.TrustedProxies)+len(github.Allow)+github.Burst != 0 || github.Rate != 0 {
		t.Errorf("got %+v, %+v", cfg.HTTP, github)
	}
}

func TestParseRate(t *testing.T) {
	for text, want := range map[string]string{
		"100/s": "100/s", "100": "100/s", " 0.5 /s": "30/m", "90/m": "1.5/s", "30/m": "30/m", "1/h": "1/h", "5/h": "5/h",
		"1e6": "1000000/s", "0": "0", "0/h": "0",
		"": "", "/s": "", "x/s": "", "-1": "", "NaN": "", "Inf": "", "0.9/h": "", "1000001": "", "5/d": "", "5/ss": "",
	} {
		got, err := config.ParseRate(text)
		if (err != nil) != (want == "") || err == nil && got.String() != want {
			t.Errorf("%q: %v, %v; want %q", text, got, err, want)
		}
	}
}

// What is shown of a rate is read as the same rate, to the digits that are shown.
func TestRatesAreReadAsTheyAreShown(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		rate := config.Rate(rapid.Float64Range(1.0/3600, 1e6).Draw(r, "rate"))
		again, err := config.ParseRate(rate.String())
		if err != nil || float64(again/rate) < 1-1e-9 || float64(again/rate) > 1+1e-9 {
			r.Fatalf("%g is shown as %s and read as %g, %v", float64(rate), rate, float64(again), err)
		}
	})
}
