package cloudevents

import (
	"strings"

	"github.com/hooktroupe/hooktroupe/source"
)

// originHeader holds the DNS name of the system that wants to send.
const originHeader = "WebHook-Request-Origin"

// maxOriginBytes is the length of the longest DNS name.
const maxOriginBytes = 253

// Greet consents to deliveries from the origin that asks, at any rate. It never calls the address that a sender may want
// called, and leaves the preflight of a browser, which looks alike, unanswered.
func (c *cloudEvents) Greet(req *source.Request) (*source.Answer, bool) {
	origin, _, single := req.Header.One(originHeader)
	_, preflight, _ := req.Header.One("Access-Control-Request-Method")
	if req.Method != "OPTIONS" || !single || preflight || !isOrigin(origin) {
		return nil, false
	}
	return &source.Answer{Status: 200, Header: map[string]string{
		"Allow":                  "POST",
		"WebHook-Allowed-Origin": origin,
		"WebHook-Allowed-Rate":   "*",
	}}, true
}

// isOrigin says whether text has the letters of a DNS name, so that it may be repeated in a header.
func isOrigin(text string) bool {
	return text != "" && len(text) <= maxOriginBytes && !strings.ContainsFunc(text, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && r != '.' && r != '-'
	})
}
