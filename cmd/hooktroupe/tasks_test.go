package main

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/client"
)

const rowJSON = `"id":"` + taskID + `","status":"queued","source":"github","event":"push","route":"","key":"o/r#1",` +
	`"created_at":"2024-11-19T07:06:40.5Z","updated_at":"2024-11-19T07:06:41Z","due_at":null,"attempts":0,"max_attempts":3,"error":null`

const deliveryJSON = `"delivery":{"received_at":"2024-11-19T07:06:40.5Z","bytes":12,"text":"{\"it's\": 1}\n","headers":[` +
	`{"name":"Content-Type","value":"application/json"},{"name":"Host","value":"hooks.example"},{"name":"X-Event","value":"push"}]}`

const toldJSON = `{"id":"` + taskID + `","parent":null,"status":"queued","source":"github","event":"push","route":"",` +
	`"key":"o/r#1","attempts":0,"at":"2024-11-19T07:06:40.5Z"}`

// standInForTasks answers about one task. Its stream breaks after a while; whoever comes again is refused.
func standInForTasks(w http.ResponseWriter, r *http.Request, body string) {
	switch r.URL.Path {
	case "/api/v1/tasks":
		if r.URL.Query().Get("min_age") != "" && r.URL.Query().Get("dead_letters") == "" {
			refuse(w, http.StatusBadRequest, "A parameter is not valid")
			return
		}
		_, _ = io.WriteString(w, `{"tasks":[{`+rowJSON+`}],"next":"`+taskID+`"}`)
	case "/api/v1/stream":
		if r.Header.Get("Last-Event-ID") == "e-3" {
			refuse(w, http.StatusForbidden, "The token does not allow that")
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "retry: 2000\nid: e-0\n: open\n\n"+
			"id: e-1\nevent: task\ndata: "+toldJSON+"\n\nid: e-1\nevent: task\ndata: "+toldJSON+"\n\n: still here\n\n"+
			"id: e-2\nevent: lane\ndata: {\"key\":\"k\",\"paused\":true,\"at\":\"2024-11-19T07:06:40Z\"}\n\n"+
			"id: e-3\nevent: replay\ndata: {\"id\":\"7\",\"state\":\"running\",\"total\":42,\"at\":\"2024-11-19T07:06:40Z\"}\n\n"+
			"id: e-3\nevent: reset\ndata: {}\n\n")
	case "/near-by":
		if body != "{\"it's\": 1}\n" || r.Header.Get("X-Event") != "push" || r.Header.Get("X-Hooktroupe-Task-Id") != taskID {
			refuse(w, http.StatusBadRequest, "That is not the delivery")
			return
		}
		w.WriteHeader(http.StatusAccepted)
	default:
		delivery := deliveryJSON
		if r.Header.Get("Authorization") == "Bearer reads" {
			delivery = `"delivery":null`
		}
		_, _ = io.WriteString(w, `{`+rowJSON+`,"result":null,"delivery_id":"d-1",`+delivery+`}`)
	}
}

// got is what a shell's curl would have sent.
type got struct {
	body   string
	header http.Header
}

// TestCurlSendsTheDeliveryAgain runs the command in a shell, with a curl that tells what it would send.
func TestCurlSendsTheDeliveryAgain(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl")
	}
	requests := make(chan got, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- got{string(body), r.Header}
	}))
	t.Cleanup(server.Close)
	for _, body := range []string{"", "plain", "it's `$(false)` \"quoted\"\n\n", "@/etc/passwd", "-d x", "a\x00b", "\xff\xfe", "ünï"} {
		d := &client.Delivery{Headers: []client.Header{
			{Name: "X-Quote", Value: "it's $HOME"}, {Name: "X-Empty"}, {Name: "Host", Value: "other.example"},
		}}
		if body == "\xff\xfe" {
			d.Base64 = []byte(body)
		} else {
			d.Text = &body
		}
		command := exec.CommandContext(t.Context(), "sh", "-c", curl(server.URL+"/it's", d)+" -s --noproxy '*'")
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v: %s", body, err, out)
		}
		sent := <-requests
		if sent.body != body || sent.header.Get("X-Quote") != "it's $HOME" {
			t.Errorf("%q: sent %q with %v", body, sent.body, sent.header)
		}
		if empty, ok := sent.header["X-Empty"]; !ok || empty[0] != "" || sent.header.Get("Content-Type") != "" {
			t.Errorf("%q: header %v", body, sent.header)
		}
	}
}

// TestQuoteIsOneWord: a shell reads back whatever was quoted.
func TestQuoteIsOneWord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.ReplaceAll(rapid.String().Draw(t, "text"), "\x00", "")
		command := exec.CommandContext(context.Background(), "sh", "-c", "printf %s "+quote(text)+" | base64 -w0")
		out, err := command.Output()
		if err != nil {
			t.Fatal(err)
		}
		if back, err := base64.StdEncoding.DecodeString(string(out)); err != nil || string(back) != text {
			t.Fatalf("%q became %q, %v", text, back, err)
		}
	})
}

func TestRecentRemembersTheNewest(t *testing.T) {
	r := newRecent(3)
	var fresh []bool
	for _, s := range []string{"a", "a", "b", "c", "a", "d", "a", "d", "c", "b"} {
		fresh = append(fresh, r.add(s))
	}
	want := []bool{true, false, true, true, false, true, true, false, false, true}
	if !reflect.DeepEqual(fresh, want) || len(r.known) != 3 {
		t.Errorf("new: %v, want %v; %d remembered", fresh, want, len(r.known))
	}
}
