//go:build linux

package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// ErrResponse means that what came back was no HTTP/1.1 response with a Content-Length that fits the buffer.
var ErrResponse = errors.New("not a response that can be read")

// ReadResponse reads one response into buf and returns its status and its body, which lies in buf. It is for connections
// without pipelining: bytes behind the response are an error. An error of r, io.ErrUnexpectedEOF for an early end, is
// returned as it is; every other is an ErrResponse.
func ReadResponse(r io.Reader, buf []byte) (status int, body []byte, err error) {
	have, total := 0, 0
	for total == 0 || have < total {
		if have == len(buf) {
			return 0, nil, fmt.Errorf("%w: more than %d bytes", ErrResponse, len(buf))
		}
		n, err := r.Read(buf[have:])
		have += n
		if n == 0 && err != nil {
			return 0, nil, early(err)
		}
		if total != 0 {
			continue
		}
		end := bytes.Index(buf[:have], []byte("\r\n\r\n"))
		if end < 0 {
			continue
		}
		var length int
		if status, length, err = parseHead(buf[:end+2]); err != nil {
			return 0, nil, err
		}
		body = buf[min(end+4, len(buf)):min(end+4+length, len(buf))]
		total = end + 4 + length
	}
	if have > total {
		return 0, nil, fmt.Errorf("%w: %d bytes too many", ErrResponse, have-total)
	}
	return status, body, nil
}

// early is the end of a connection within a response.
func early(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseHead reads the status and the length of the body from a header block, whose lines all end in CR LF.
func parseHead(head []byte) (status, length int, err error) {
	const (
		version = "HTTP/1.1 "
		digits  = 3
	)
	if !bytes.HasPrefix(head, []byte(version)) || len(head) < len(version)+digits {
		return 0, 0, fmt.Errorf("%w: begins with %.32q", ErrResponse, head)
	}
	status, rest, ok := decimal(head[len(version):])
	if !ok || len(head)-len(version)-len(rest) != digits {
		return 0, 0, fmt.Errorf("%w: begins with %.32q", ErrResponse, head)
	}
	_, rest, found := bytes.Cut(rest, []byte("\r\nContent-Length: "))
	if !found {
		return 0, 0, fmt.Errorf("%w: status %d without Content-Length", ErrResponse, status)
	}
	length, rest, ok = decimal(rest)
	if !ok || !bytes.HasPrefix(rest, []byte("\r\n")) {
		return 0, 0, fmt.Errorf("%w: status %d with a Content-Length that is no number", ErrResponse, status)
	}
	return status, length, nil
}

// decimal reads the digits at the begin of text, nine at most.
func decimal(text []byte) (n int, rest []byte, ok bool) {
	const most = 9
	i := 0
	for ; i < len(text) && i < most && '0' <= text[i] && text[i] <= '9'; i++ {
		n = 10*n + int(text[i]-'0')
	}
	return n, text[i:], i > 0
}
