package forward_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"testing"

	"github.com/hooktroupe/hooktroupe/handler/forward"
	"github.com/hooktroupe/hooktroupe/handler/handlertest"
)

// BenchmarkHandle forwards a usual delivery over a kept-alive connection to a sink that allocates next to nothing, so
// that what is counted is the handler's.
func BenchmarkHandle(b *testing.B) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{}) // closed when the sink has stopped
	go func() {
		defer close(done)
		answerForEver(listener)
	}()
	h, err := forward.New(forward.Config{URL: "http://" + listener.Addr().String()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		h.Close()
		_ = listener.Close()
		<-done
	})
	task := handlertest.NewTask(handlertest.WithBody(bytes.Repeat([]byte("b"), 8<<10)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Handle(b.Context(), task); err != nil {
			b.Fatal(err)
		}
	}
}

// answerForEver serves one connection after the other until the listener is closed.
func answerForEver(listener net.Listener) {
	answer := []byte("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
	body := make([]byte, 8<<10)
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		for lines := bufio.NewReader(conn); readRequest(lines, body) == nil; {
			if _, err := conn.Write(answer); err != nil {
				break
			}
		}
		_ = conn.Close() // the caller has gone, or the benchmark is over
	}
}

// readRequest reads a header block and as many bytes of body as it is given room for.
func readRequest(lines *bufio.Reader, body []byte) error {
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			_, err := io.ReadFull(lines, body)
			return err
		}
	}
}
