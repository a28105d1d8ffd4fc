package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestTopOnATerminal runs the real command on a pseudo-terminal that script(1) of util-linux gives it. The exec is for
// shells that would otherwise wait for it, and die of the interrupt in its place.
func TestTopOnATerminal(t *testing.T) {
	script, err := exec.LookPath("script")
	if err != nil {
		t.Skip("SKIPPED LOUDLY: script is not here, so nothing is a terminal")
	}
	for name, c := range map[string]struct {
		environ []string
		colour  bool
	}{"colours": {nil, true}, "NO_COLOR": {[]string{"NO_COLOR=1"}, false}, "dumb": {[]string{"TERM=dumb"}, false}} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(standIn))
			t.Cleanup(server.Close)
			command := exec.CommandContext(t.Context(), script, "-qec", "exec hooktroupe top --every 100ms --url "+server.URL, "/dev/null")
			command.Env = append(append(os.Environ(), "TERM=xterm"), c.environ...)
			var shown strings.Builder
			out, err := command.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			keys, err := command.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			patience := time.AfterFunc(time.Minute, func() { _ = command.Process.Kill() })
			defer patience.Stop()
			buffer, interrupted := make([]byte, 4096), false
			for {
				n, err := out.Read(buffer)
				shown.Write(buffer[:n])
				if !interrupted && strings.Count(shown.String(), "forge") > 1 { // the second picture
					interrupted = true
					_, _ = keys.Write([]byte{3}) // Control-C
				}
				if err != nil {
					break
				}
			}
			if err := command.Wait(); err != nil {
				t.Errorf("after an interrupt: %v", err)
			}
			text := shown.String()
			if !strings.HasPrefix(text, enterScreen) || !strings.Contains(text, leaveScreen) {
				t.Errorf("the screen is not given back: %q", text)
			}
			if got := strings.Contains(text, "\x1b[33mwarning\x1b[39m"); got != c.colour {
				t.Errorf("colours: %t in %q", got, text)
			}
		})
	}
}
