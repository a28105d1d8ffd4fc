package config_test

import (
	"strings"
	"testing"
)

func TestTracing(t *testing.T) {
	const sources = "\nsources: {github: {secret: env:S}, open: {type: github, insecure: true}}\n"
	for yaml, want := range map[string]string{
		`tracing: {endpoint: "http://127.0.0.1:4318", sample_ratio: 0.5, continue: [github]}`:   "",
		`tracing: {endpoint: "https://collector.example/v1/traces", headers: {x-key: "env:S"}}`: "",
		`tracing: {endpoint: "collector:4318"}`:                                                 "tracing.endpoint: is not a URL",
		`tracing: {endpoint: "http://u:hidden@collector"}`:                                      "tracing.endpoint: holds more than",
		`tracing: {sample_ratio: 1.5}`:                                                          "tracing.sample_ratio: 1.5 is not within",
		`tracing: {continue: [gitea]}`:                                                          `tracing.continue[0]: there is no source "gitea"`,
		`tracing: {continue: [open]}`:                                                           `tracing.continue[0]: source "open" is insecure`,
		`tracing: {headers: {x-key: "env:NOT_THERE"}}`:                                          "tracing.headers.x-key: ",
	} {
		_, _, err := load(t, yaml+sources, "S=value")
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", yaml, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", yaml, err, want)
		case err != nil && strings.Contains(err.Error(), "hidden"):
			t.Errorf("%s: the error quotes a credential", yaml)
		}
	}
	_, warnings, err := load(t, `tracing: {endpoint: "http://collector.example"}`+sources, "S=value")
	if err != nil || !strings.Contains(strings.Join(warnings, "\n"), "unencrypted") {
		t.Errorf("%v, %q", err, warnings)
	}
}
