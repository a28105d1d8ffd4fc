package daemontest_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
)

// hooksFile is one hook as GitHub's webhook would call it. Its command writes what it was given into a file of that name.
const hooksFile = `[{
	"id": "redeploy",
	"execute-command": "./deploy.sh",
	"command-working-directory": "%DIR%",
	"pass-arguments-to-command": [
		{"source": "string", "name": "--"},
		{"source": "payload", "name": "head_commit.id"},
		{"source": "payload", "name": "commits.0.message"}
	],
	"pass-environment-to-command": [{"source": "payload", "name": "pusher.name", "envname": "PUSHER"}],
	"trigger-rule": {"and": [
		{"match": {"type": "payload-hmac-sha256", "secret": "%SECRET%", "parameter": {"source": "header", "name": "X-Hub-Signature-256"}}},
		{"match": {"type": "value", "value": "refs/heads/master", "parameter": {"source": "payload", "name": "ref"}}}
	]}
}]`

// imports imports a hooks file and returns the configuration.
func imports(t *testing.T, folder, hooks string) string {
	t.Helper()
	file := filepath.Join(folder, "hooks.json")
	if err := os.WriteFile(file, []byte(hooks), 0o600); err != nil {
		t.Fatal(err)
	}
	yaml, err := exec.Command(daemontest.Binary(t), "import-hooks", file, "--secrets", filepath.Join(folder, "secrets")).Output()
	if err != nil {
		t.Fatalf("import-hooks: %v", err)
	}
	return string(yaml)
}

// An imported hook runs its command with values of the payload, byte for byte, and only when its rule says so.
func TestImportedHookRunsItsCommand(t *testing.T) {
	folder := t.TempDir()
	const script = "#!/bin/sh\nprintf '%s|' \"$@\" \"$PUSHER\" >> ran\n"
	if err := os.WriteFile(filepath.Join(folder, "deploy.sh"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	hooks := strings.NewReplacer("%DIR%", folder, "%SECRET%", secret).Replace(hooksFile)
	d := daemontest.New(t, imports(t, folder, hooks))
	d.Start()
	push := func(id, key, body string) daemontest.Answer {
		mac := hmac.New(sha256.New, []byte(key))
		mac.Write([]byte(body))
		return d.Must(http.MethodPost, "/hooks/redeploy", http.Header{
			"Content-Type": {"application/json"}, "X-Github-Event": {"push"}, "X-Github-Delivery": {id},
			"X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac.Sum(nil))},
		}, []byte(body))
	}
	const rest = `"head_commit":{"id":"c0ffee"},"commits":[{"message":"$(touch pwned); ` + "`id`" + ` 'x' *"}],"pusher":{"name":"ann \"a\""}}`
	if answer := push("1", secret, `{"ref":"refs/heads/other",`+rest); answer.Code != http.StatusOK {
		t.Errorf("another branch is answered %d, want 200", answer.Code)
	}
	if answer := push("2", "guessed", `{"ref":"refs/heads/master",`+rest); answer.Code != http.StatusUnauthorized {
		t.Errorf("a bad signature is answered %d, want 401", answer.Code)
	}
	accepted := push("3", secret, `{"ref":"refs/heads/master",`+rest)
	if accepted.Code != http.StatusAccepted {
		t.Fatalf("the push is answered %d: %s", accepted.Code, accepted.Body)
	}
	d.AwaitStatus(accepted.Text("webhook_id"), "completed")
	empty := push("4", secret, `{"ref":"refs/heads/master","commits":[]}`)
	d.AwaitStatus(empty.Text("webhook_id"), "completed")
	unfit := push("5", secret, `{"ref":"refs/heads/master","head_commit":{"id":"a\u0000b"}}`)
	d.AwaitStatus(unfit.Text("webhook_id"), "failed")
	ran, err := os.ReadFile(filepath.Join(folder, "ran"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "--|c0ffee|$(touch pwned); `id` 'x' *|ann \"a\"|" + "--||||"; string(ran) != want {
		t.Errorf("the command saw %q, want %q", ran, want)
	}
	if _, err := os.Stat(filepath.Join(folder, "pwned")); err == nil {
		t.Error("a shell read the payload")
	}
}
