//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/hooktroupe/hooktroupe/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// The vector that GitHub documents.
const (
	secret    = "It's a Secret to Everybody"
	body      = "Hello, World!"
	signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
)

// serve runs the receiver on an empty database and returns where. It ends with the test, without an error.
func serve(t *testing.T, more ...string) (address, url string) {
	t.Helper()
	url = pgtest.Database(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1) // the one end of run
	go func() { ended <- run(ctx, append(more, address), url, secret) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return address, url
}

// send posts a delivery, once somebody listens, and returns the status of the answer.
func send(t *testing.T, address, id, signature string) int {
	t.Helper()
	var conn net.Conn
	for deadline := time.Now().Add(30 * time.Second); conn == nil; {
		var err error
		if conn, err = net.Dial("tcp", address); err != nil {
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	defer func() { _ = conn.Close() }()
	request, err := http.NewRequest(http.MethodPost, "http://x/webhooks/github", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Hub-Signature-256", signature)
	request.Header.Set("X-GitHub-Delivery", id)
	request.Header.Set("X-GitHub-Event", "push")
	if err := request.Write(conn); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}

// jobs are the IDs of those that are there, each with its event, body and state.
func jobs(t *testing.T, url string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	rows, err := conn.Query(t.Context(),
		"SELECT concat_ws(' ', args->>'id', args->>'event', args->>'body', kind, state) FROM river_job ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "|")
}

// What is answered 202 is a job of River's; what is not proven is none. Only where IDs are unique, a delivery that comes again
// is the same job.
func TestEveryDeliveryIsAJob(t *testing.T) {
	const first, second = "one push Hello, World! delivery available", "two push Hello, World! delivery available"
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, first + "|" + first + "|" + second},
		{[]string{"-unique", "-connections", "2"}, first + "|" + second},
	} {
		t.Run(fmt.Sprint(c.args), func(t *testing.T) {
			address, url := serve(t, c.args...)
			for _, s := range []struct {
				id, signature string
				want          int
			}{
				{"one", signature, http.StatusAccepted},
				{"one", signature, http.StatusAccepted},
				{"forged", signature[:70] + "0", http.StatusUnauthorized},
				{"two", signature, http.StatusAccepted},
			} {
				if got := send(t, address, s.id, s.signature); got != s.want {
					t.Errorf("%s: %d, want %d", s.id, got, s.want)
				}
			}
			if got := jobs(t, url); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestNonsense(t *testing.T) {
	for _, args := range [][]string{nil, {"127.0.0.1:0", "more"}, {"-connections", "0", "127.0.0.1:0"}} {
		if err := run(t.Context(), args, "", secret); err == nil || !strings.Contains(err.Error(), "usage") {
			t.Errorf("%q: %v", args, err)
		}
	}
	if err := run(t.Context(), []string{"127.0.0.1:0"}, "postgres://127.0.0.1:x", secret); err == nil ||
		!strings.Contains(err.Error(), "BENCH_STORE") {
		t.Errorf("%v", err)
	}
}
