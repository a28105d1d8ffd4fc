// Command remotehandler is a handler in a process of its own: it counts the words of what it is sent. A daemon that allows
// the kind "words" hands it attempts, from this host or another:
//
//	go run ./examples/remotehandler -daemon hooks.example:8090 -listen :8091 -advertise worker.example:8091 \
//		-ca ca.pem -cert worker.pem -key worker-key.pem
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/remote"
)

func main() {
	var c remote.Config
	flag.StringVar(&c.Daemon, "daemon", "127.0.0.1:8090", "where the daemon takes members")
	flag.StringVar(&c.Listen, "listen", "127.0.0.1:0", "where the daemon calls this process")
	flag.StringVar(&c.Advertise, "advertise", "", "under which address it does, if not that")
	flag.StringVar(&c.Kind, "kind", "words", "the name of the handler in the daemon's routes")
	flag.IntVar(&c.Credits, "credits", remote.DefaultCredits, "how many attempts run at once")
	flag.StringVar(&c.TLS.CA, "ca", "", "certificates that sign the daemon's")
	flag.StringVar(&c.TLS.Cert, "cert", "", "certificate of this process")
	flag.StringVar(&c.TLS.Key, "key", "", "its key")
	flag.BoolVar(&c.Insecure, "insecure", false, "no TLS, on loopback only")
	flag.Parse()
	c.Handler = handler.Func(words)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := remote.Serve(ctx, c); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

// words counts; its result is kept with the task. It heeds ctx in that it does not wait.
func words(_ context.Context, t *handler.Task) ([]byte, error) {
	if len(t.Body) == 0 {
		return nil, handler.Discard(errors.New("nothing to count")) // no later attempt will find more
	}
	return fmt.Appendf(nil, "%d words", len(bytes.Fields(t.Body))), nil
}
