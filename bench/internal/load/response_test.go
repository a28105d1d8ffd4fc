//go:build linux

package load_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/hooktroupe/hooktroupe/bench/internal/load"
)

const accepted = "HTTP/1.1 202 Accepted\r\nServer: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"id\":12}"

func TestReadResponse(t *testing.T) {
	for _, c := range []struct {
		name, text string
		status     int
		body       string
		err        error
	}{
		{"202", accepted, 202, `{"id":12}`, nil},
		{"refusal", "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 4\r\n\r\nfull", 503, "full", nil},
		{"no body", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 204, "", nil},
		{"ends early", accepted[:len(accepted)-1], 0, "", io.ErrUnexpectedEOF},
		{"nothing at all", "", 0, "", io.ErrUnexpectedEOF},
		{"bytes behind it", accepted + "H", 0, "", load.ErrResponse},
		{"larger than the buffer", "HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n" + strings.Repeat("x", 300), 0, "", load.ErrResponse},
		{"no length", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", 0, "", load.ErrResponse},
		{"length is no number", "HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n", 0, "", load.ErrResponse},
		{"length goes on", "HTTP/1.1 200 OK\r\nContent-Length: 4 4\r\n\r\n", 0, "", load.ErrResponse},
		{"another version", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 0, "", load.ErrResponse},
		{"status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", 0, "", load.ErrResponse},
		{"status of four digits", "HTTP/1.1 2022 OK\r\nContent-Length: 0\r\n\r\n", 0, "", load.ErrResponse},
	} {
		for how, reader := range map[string]func(io.Reader) io.Reader{
			"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "data and error": iotest.DataErrReader,
		} {
			if how == "byte by byte" && c.name == "bytes behind it" {
				continue // it stops where the response does
			}
			t.Run(c.name+" "+how, func(t *testing.T) {
				status, body, err := load.ReadResponse(reader(strings.NewReader(c.text)), make([]byte, 256))
				if status != c.status || string(body) != c.body || !errors.Is(err, c.err) || c.err == nil && err != nil {
					t.Errorf("%d %q %v, want %d %q %v", status, body, err, c.status, c.body, c.err)
				}
			})
		}
	}
}

func TestReadResponsePassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	_, _, err := load.ReadResponse(io.MultiReader(strings.NewReader(accepted[:30]), iotest.ErrReader(broken)), make([]byte, 256))
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

// FuzzReadResponse holds what is read against the standard library: where both succeed they agree.
func FuzzReadResponse(f *testing.F) {
	f.Add([]byte(accepted))
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"))
	f.Fuzz(func(t *testing.T, text []byte) {
		status, body, err := load.ReadResponse(bytes.NewReader(text), make([]byte, 512))
		if err != nil {
			if status != 0 || body != nil {
				t.Errorf("%d %q beside the error %v", status, body, err)
			}
			return
		}
		if bytes.Count(text, []byte("\n")) != bytes.Count(text, []byte("\r\n")) {
			return // the library takes a bare line feed for the end of a line
		}
		response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), nil)
		if err != nil || len(response.TransferEncoding) > 0 || response.StatusCode == 204 || response.StatusCode == 304 || response.StatusCode < 200 {
			return // the library asks more of a header block, and knows responses that have no body whatever they say
		}
		defer func() { _ = response.Body.Close() }()
		want, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != status || !bytes.Equal(want, body) {
			t.Errorf("%d %q, the library says %d %q %v", status, body, response.StatusCode, want, err)
		}
	})
}
