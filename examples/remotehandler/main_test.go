package main

import (
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/handlertest"
	"github.com/hooktroupe/hooktroupe/handler/remote/hub"
	"github.com/hooktroupe/hooktroupe/handler/remote/linktest"
)

// asExample makes the test program the example itself.
const asExample = "HOOKTROUPE_TEST_EXAMPLE"

func TestMain(m *testing.M) {
	if os.Getenv(asExample) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// The example registers over TLS, works tasks, and drains on SIGTERM.
func TestExample(t *testing.T) {
	ca := linktest.NewCA(t)
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	h, err := hub.New(hub.Config{
		Listen: "127.0.0.1:0", TLS: ca.Issue(t, "daemon"), AllowedKinds: []string{"words"},
		Patience: linktest.Bound, Log: quiet,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	defer h.Stop()

	files := ca.Issue(t, "worker")
	example := exec.Command(os.Args[0], "-daemon", h.Address(), "-ca", files.CA, "-cert", files.Cert, "-key", files.Key)
	example.Env = append(os.Environ(), asExample+"=1")
	if err := example.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = example.Process.Kill() }()

	result, err := h.Handler("words").Handle(t.Context(), handlertest.NewTask(handlertest.WithBody([]byte("one two three"))))
	if err != nil || string(result) != "3 words" {
		t.Errorf("Handle returned %q, %v", result, err)
	}
	_, err = h.Handler("words").Handle(t.Context(), handlertest.NewTask(handlertest.WithBody(nil)))
	if !handler.IsDiscard(err) {
		t.Errorf("error %v, want one that discards", err)
	}

	if err := example.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1) // its one end
	go func() { ended <- example.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(linktest.Bound):
		t.Fatal("the example did not end")
	}
}
