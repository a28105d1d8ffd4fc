// Command triage is a pull-request triage bot: a handler actor for each pull request, with Hooktroupe inside. The actor
// remembers its pull request while it is busy, so it can say what changed since it looked last. Run it, and send it
// deliveries as GitHub would:
//
//	go run ./examples/triage
//	go run ./cmd/hooktroupe send --source github --event pull_request --wait
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/daemon"
	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/local"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg, err := configure("data")
	if err == nil {
		err = run(ctx, cfg, nil)
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

// configure takes the demo's source and secret, without its handler.
func configure(dataDir string) (*config.Config, error) {
	demo, err := config.Demo(dataDir, rand.Reader)
	if err != nil {
		return nil, err
	}
	demo.Handlers, demo.Routes = nil, nil
	cfg, _, err := config.Load(config.Options{Base: demo})
	return cfg, err
}

// run runs the daemon with the triage actors until ctx ends.
func run(ctx context.Context, cfg *config.Config, ready func(daemon.Info)) error {
	triage, err := local.New(local.Config{
		Name: "triage", Props: actor.PropsFromProducer(func() actor.Actor { return &triager{} }), PerKey: true,
	})
	if err != nil {
		return err
	}
	return daemon.Run(ctx, cfg, daemon.Options{
		Logger: logrus.StandardLogger(), Version: "triage", Ready: ready,
		Bindings: []daemon.Binding{{
			Source: "github", EventType: "pull_request", Binding: handler.Binding{Name: "triage", Handler: triage},
		}},
	})
}

// triager looks at one pull request, for as long as it is busy.
type triager struct{ last verdict }

// pull is what triage looks at of a delivery.
type pull struct {
	Action      string
	PullRequest struct {
		Number               int
		Draft                bool
		Title                string
		Body                 *string
		Additions, Deletions int
		ChangedFiles         int `json:"changed_files"`
	} `json:"pull_request"`
}

// verdict is what triage says: it becomes the task's result.
type verdict struct {
	Size    string   `json:"size"`
	Remarks []string `json:"remarks"`
	Changed bool     `json:"changed"`
}

// Receive works one delivery after the other.
func (t *triager) Receive(ctx actor.Context) {
	w, ok := ctx.Message().(*local.Work)
	if !ok {
		return
	}
	var p pull
	if err := json.Unmarshal(w.Task.Body, &p); err != nil {
		w.Done(nil, handler.Discard(err)) // no later attempt will read it any better
		return
	}
	v := judge(p)
	v.Changed = v.Size != t.last.Size || strings.Join(v.Remarks, "|") != strings.Join(t.last.Remarks, "|")
	t.last = v
	result, err := json.Marshal(v)
	w.Done(result, err)
}

// judge sizes a pull request and says what its author should mend.
func judge(p pull) verdict {
	v := verdict{Remarks: []string{}}
	pr := p.PullRequest
	switch lines := pr.Additions + pr.Deletions; {
	case lines <= 50:
		v.Size = "small"
	case lines <= 400:
		v.Size = "medium"
	default:
		v.Size = "large"
		v.Remarks = append(v.Remarks, fmt.Sprintf("%d lines in %d files: consider several pull requests", lines, pr.ChangedFiles))
	}
	if pr.Body == nil || len(strings.TrimSpace(*pr.Body)) < 20 {
		v.Remarks = append(v.Remarks, "the description says too little")
	}
	if pr.Draft {
		v.Remarks = append(v.Remarks, "a draft: no review yet")
	}
	return v
}
