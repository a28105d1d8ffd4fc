package status_test

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"
	"time"
)

func TestProfiles(t *testing.T) {
	a := newAPI(t)
	for _, path := range strings.Fields(string(a.call("GET", "/debug/pprof", 200))) {
		if !strings.HasPrefix(path, "/debug/pprof/") {
			t.Errorf("the index lists %q", path)
		}
	}
	if _, err := gzip.NewReader(bytes.NewReader(a.call("GET", "/debug/pprof/heap", 200))); err != nil {
		t.Errorf("the heap's is no profile: %v", err)
	}
	if text := string(a.call("GET", "/debug/pprof/goroutine?debug=2", 200)); !strings.Contains(text, "TestProfiles") {
		t.Errorf("goroutines: %.200s", text)
	}
	a.call("GET", "/debug/pprof/goroutine?debug=3", 400)
	a.call("GET", "/debug/pprof/profile?seconds=31", 400)
	a.call("GET", "/debug/pprof/trace?seconds=0", 400)
	for _, path := range []string{"/debug/pprof/cmdline", "/debug/pprof/..%2f..%2fhealthz", "/debug/pprof/heap/x"} {
		if resp, _ := a.send("GET", path); resp.StatusCode != 404 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	for scope, want := range map[string]int{"read": 403, "operate": 403, "admin": 200} {
		if resp, body := a.as(scope, "GET", "/debug/pprof/heap"); resp.StatusCode != want {
			t.Errorf("%s: %d %s", scope, resp.StatusCode, body)
		}
	}
	if resp, _ := a.send("POST", "/debug/pprof/heap"); resp.StatusCode != 405 {
		t.Errorf("POST: %d", resp.StatusCode)
	}
}

func TestOneTimedProfileAtATime(t *testing.T) {
	for _, kind := range []string{"profile", "trace"} {
		a := newAPI(t)
		taken := make(chan []byte, 1) // the one answer
		go func() {
			_, body := a.send("GET", "/debug/pprof/"+kind+"?seconds=7")
			taken <- body
		}()
		a.awaitTimer()
		a.call("GET", "/debug/pprof/"+kind, 409)
		a.clock.Advance(7 * time.Second)
		if body := <-taken; len(body) == 0 {
			t.Errorf("%s: nothing was taken", kind)
		}
	}
}

func TestAProfileEndsWithTheDaemon(t *testing.T) {
	a := newAPI(t)
	taken := make(chan []byte, 1) // the one answer
	go func() {
		_, body := a.send("GET", "/debug/pprof/profile")
		taken <- body
	}()
	a.awaitTimer()
	a.Drain()
	if body := <-taken; len(body) == 0 {
		t.Error("nothing was taken")
	}
}
