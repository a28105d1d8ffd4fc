package daemontest_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
)

// TestKillsUnderLoadLoseNothing kills the daemon again and again while senders send, and then looks for every delivery
// that was answered 202: in the status API, and at the sink with the same bytes.
func TestKillsUnderLoadLoseNothing(t *testing.T) {
	const kills, senders = 20, 8
	sink := daemontest.NewSink(t)
	d := start(t, configuration(sink.URL)+"\nPERSISTENCE_INTERVAL: 1\njournal: {segment_bytes: 1MiB}\n")
	var (
		mu       sync.Mutex // guards accepted
		accepted = make(map[string][]byte)
		url      atomic.Pointer[string]
		stop     = make(chan struct{})
		wait     sync.WaitGroup
	)
	publish := func() { current := d.URL; url.Store(&current) }
	publish()
	for sender := range senders {
		wait.Go(func() { // ends with stop
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("load-%d-%d", sender, n)
				body := fmt.Appendf(nil, `{"id":%q,"fill":%q}`, id, strings.Repeat("x", rand.IntN(8000)))
				answer, err := sendTo(t, *url.Load(), id, body)
				if err != nil || answer.Code != http.StatusAccepted {
					time.Sleep(5 * time.Millisecond) // the daemon is down, or coming up
					continue
				}
				mu.Lock()
				accepted[answer.Text("webhook_id")] = body
				mu.Unlock()
			}
		})
	}
	for range kills {
		time.Sleep(time.Duration(50+rand.IntN(250)) * time.Millisecond)
		d.Kill()
		d.Start()
		publish()
	}
	close(stop)
	wait.Wait()
	if len(accepted) < kills {
		t.Fatalf("only %d deliveries were accepted", len(accepted))
	}
	for id, body := range accepted {
		if status := d.Status(id); status.Code != http.StatusOK {
			t.Fatalf("task %s, which was answered 202, is gone: %d %s", id, status.Code, status.Body)
		}
		d.AwaitStatus(id, "completed")
		if times, same := sink.Got(id, body); times == 0 || !same {
			t.Errorf("task %s reached the sink %d times, same bytes: %v", id, times, same)
		}
	}
	t.Logf("%d deliveries were accepted over %d kills, none lost", len(accepted), kills)
}

// sendTo posts a signed delivery to a daemon that may be dead.
func sendTo(t *testing.T, url, id string, body []byte) (daemontest.Answer, error) {
	headers := map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": "push", "X-GitHub-Delivery": id,
	}
	d := &daemontest.Daemon{URL: url}
	return d.Send(http.MethodPost, "/webhooks/github", signed(t, "github", headers, body, secret), body)
}
