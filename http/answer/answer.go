// Package answer is how Hooktroupe says yes over HTTP: the headers that every answer bears, and the words in which a
// task's status is told. How it says no is package problem.
package answer

import (
	"encoding/json"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/messages"
)

// StatusPath is where the status of one task is; its ID follows.
const StatusPath = "/api/v1/webhook_status/"

// JSON makes the response this status and value. A value that does not encode is a programmer's error and panics, which
// the listener turns into a 500.
func JSON(ctx *fasthttp.RequestCtx, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	Raw(ctx, status, "application/json", body)
}

// Raw makes the response these bytes, which it keeps. Nothing of an answer is cached or guessed at.
func Raw(ctx *fasthttp.RequestCtx, status int, contentType string, body []byte) {
	h := &ctx.Response.Header
	h.SetContentType(contentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	ctx.SetStatusCode(status)
	ctx.Response.SetBodyRaw(body)
}

// StatusWord is the word for a status: queued, processing, completed, failed, retrying, cancelled or superseded. What is
// none of these is unknown.
func StatusWord(s messages.Status) string {
	switch s {
	case messages.Status_STATUS_QUEUED:
		return "queued"
	case messages.Status_STATUS_PROCESSING:
		return "processing"
	case messages.Status_STATUS_COMPLETED:
		return "completed"
	case messages.Status_STATUS_FAILED:
		return "failed"
	case messages.Status_STATUS_RETRYING:
		return "retrying"
	case messages.Status_STATUS_CANCELLED:
		return "cancelled"
	case messages.Status_STATUS_SUPERSEDED:
		return "superseded"
	default:
		return "unknown"
	}
}

// ParseStatus is the inverse of StatusWord; ok is false for a word that is none.
func ParseStatus(word string) (s messages.Status, ok bool) {
	for s = messages.Status_STATUS_QUEUED; s <= messages.Status_STATUS_SUPERSEDED; s++ {
		if StatusWord(s) == word {
			return s, true
		}
	}
	return messages.Status_STATUS_UNSPECIFIED, false
}
