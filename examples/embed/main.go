// Command embed is a program of its own with Hooktroupe inside: it registers a handler written in Go beside those of the
// configuration. Run it and send it a delivery:
//
//	go run ./examples/embed
//	go run ./cmd/hooktroupe send --source github --event pull_request --wait
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/daemon"
	"github.com/hooktroupe/hooktroupe/handler"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg, err := configure("data")
	if err == nil {
		err = run(ctx, cfg, os.Stdout, nil)
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

// configure takes the demo's source and secret, without its handler. A program of yours would call config.Load.
func configure(dataDir string) (*config.Config, error) {
	demo, err := config.Demo(dataDir, rand.Reader)
	if err != nil {
		return nil, err
	}
	demo.Handlers, demo.Routes = nil, nil
	cfg, _, err := config.Load(config.Options{Base: demo})
	return cfg, err
}

// run runs the daemon with a handler of ours until ctx ends.
func run(ctx context.Context, cfg *config.Config, out io.Writer, ready func(daemon.Info)) error {
	greet := handler.Func(func(_ context.Context, t *handler.Task) ([]byte, error) {
		if len(t.Body) == 0 {
			return nil, handler.Discard(errors.New("nothing to greet")) // no retry would help
		}
		_, err := fmt.Fprintf(out, "attempt %d at %s, %d bytes from %s\n", t.Attempt, t.EventType, len(t.Body), t.Source)
		return []byte("greeted"), err // an error is retried
	})
	return daemon.Run(ctx, cfg, daemon.Options{
		Logger:  logrus.StandardLogger(),
		Version: "embedded",
		Ready:   ready,
		Bindings: []daemon.Binding{{
			Source: "github", EventType: "pull_request", Binding: handler.Binding{Name: "greet", Handler: greet},
		}},
	})
}
