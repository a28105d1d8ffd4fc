package ingress

import (
	"errors"
	"fmt"
	"time"
)

// Config bounds what one ingress takes on.
type Config struct {
	// MaxBodyBytes bounds the body of one request of a source that sets no bound of its own. Zero means 25 MiB; at most
	// 60 MiB, so that a delivery fits into one journal record.
	MaxBodyBytes int
	// MaxInflightRequests bounds requests that are read or wait for their answer. Zero means 4096.
	MaxInflightRequests int
	// MaxInflightBytes bounds the memory of their bodies together. Zero means 256 MiB; at least MaxBodyBytes.
	MaxInflightBytes int
	// MaxStoredHeaderBytes bounds names and values of the headers stored with one delivery; what comes after is left
	// out. Zero means 16 KiB.
	MaxStoredHeaderBytes int
	// AnswerTimeout bounds the wait for the Acceptor. Zero means 10 s, the time in which most senders give up.
	AnswerTimeout time.Duration
	// WarningsPerSecond bounds the log entries about refusals of one source. Zero means 5.
	WarningsPerSecond int
}

// LargestBody is the upper bound of Config.MaxBodyBytes, in bytes.
const LargestBody = 60 << 20

// WithDefaults returns the configuration with every zero field at its default.
func (c Config) WithDefaults() Config {
	set := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	set(&c.MaxBodyBytes, 25<<20)
	set(&c.MaxInflightRequests, 4096)
	set(&c.MaxInflightBytes, 256<<20)
	set(&c.MaxStoredHeaderBytes, 16<<10)
	set(&c.WarningsPerSecond, 5)
	if c.AnswerTimeout == 0 {
		c.AnswerTimeout = 10 * time.Second
	}
	return c
}

// Validate returns every fault of a configuration that has its defaults, each naming its field.
func (c Config) Validate() error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	check(c.MaxBodyBytes > 0 && c.MaxBodyBytes <= LargestBody,
		"max_body_bytes: %d is not within 1 and %d", c.MaxBodyBytes, LargestBody)
	check(c.MaxInflightRequests > 0, "max_inflight_requests: %d is below 1", c.MaxInflightRequests)
	check(c.MaxInflightBytes >= c.MaxBodyBytes,
		"max_inflight_bytes: %d is below max_body_bytes (%d)", c.MaxInflightBytes, c.MaxBodyBytes)
	check(c.MaxStoredHeaderBytes > 0, "max_stored_header_bytes: %d is below 1", c.MaxStoredHeaderBytes)
	check(c.AnswerTimeout > 0, "answer_timeout: %s is not above 0", c.AnswerTimeout)
	check(c.WarningsPerSecond > 0, "warnings_per_second: %d is below 1", c.WarningsPerSecond)
	return errors.Join(faults...)
}
