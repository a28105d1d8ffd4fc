package config_test

import (
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/config"
)

const clusterSources = "\nsources: {github: {secret: env:S}}"

func TestClusterIsRead(t *testing.T) {
	const url = "postgres://u:" + hush + "@127.0.0.1/db"
	cfg, warnings, err := load(t, `
cluster: {enabled: true, name: a, advertise: "127.0.0.1:7070", store: env:CLUSTER_STORE, insecure: true, lease: 3s}`+
		clusterSources, "S="+hush, "CLUSTER_STORE="+url)
	if err != nil {
		t.Fatal(err)
	}
	if c := cfg.Cluster; c.Store != url || c.Listen != "127.0.0.1:7070" || c.Shards != 64 {
		t.Errorf("got %+v, %v", c, warnings)
	}
	shown, err := config.Show(cfg)
	if err != nil || strings.Contains(string(shown), hush) {
		t.Errorf("%v, shown:\n%s", err, shown)
	}
}

func TestClusterIsRefused(t *testing.T) {
	for section, want := range map[string]string{
		`{store: env:S, insecure: true}`:                                                        "cluster.advertise: is needed",
		`{advertise: "127.0.0.1:1", insecure: true}`:                                            "cluster.store: is needed",
		`{advertise: "127.0.0.1:1", store: env:S}`:                                              "cluster.tls: ca, cert and key are needed",
		`{advertise: "10.0.0.1:1", store: env:S, insecure: true}`:                               "cluster.insecure: needs loopback",
		`{advertise: "127.0.0.1:1", listen: ":1", store: env:S, insecure: true}`:                "cluster.insecure: needs loopback",
		`{advertise: "127.0.0.1:1", store: env:S, insecure: true, tls: {ca: x}}`:                "cluster.insecure: goes with no tls",
		`{advertise: "127.0.0.1:1", store: env:S, insecure: true, shards: 1025}`:                "cluster.shards: 1025",
		`{advertise: "127.0.0.1:1", store: env:S, insecure: true, lease: 61s}`:                  "cluster.lease:",
		`{advertise: "127.0.0.1:1", store: env:S, insecure: true, max_conns: 0}`:                "cluster.max_conns: 0",
		`{advertise: "127.0.0.1:1", store: "env:NOT_SET", insecure: true}`:                      "NOT_SET",
		`{advertise: "127.0.0.1:1", store: env:S, insecure: true, hand_over: 0s}`:               "cluster.hand_over:",
		`{advertise: "127.0.0.1:1", store: env:S, insecure: true, advertize: "x"}`:              "advertise",
		"{advertise: \"127.0.0.1:1\", store: env:S, insecure: true}\nENABLE_PERSISTENCE: false": "cluster.enabled: goes with ENABLE_PERSISTENCE",
	} {
		_, _, err := load(t, "cluster: "+strings.Replace(section, "{", "{enabled: true, ", 1)+clusterSources, "S="+hush)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", section, err, want)
		}
	}
}
