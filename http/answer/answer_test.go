package answer_test

import (
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/answer"
	"github.com/hooktroupe/hooktroupe/messages"
)

func TestEveryStatusHasItsWord(t *testing.T) {
	for number, name := range messages.Status_name {
		s := messages.Status(number)
		want := strings.ToLower(strings.TrimPrefix(name, "STATUS_"))
		if s == messages.Status_STATUS_UNSPECIFIED {
			want = "unknown"
		}
		word := answer.StatusWord(s)
		if word != want {
			t.Errorf("%s is told as %q, want %q", name, word, want)
		}
		back, ok := answer.ParseStatus(word)
		if back != s || ok != (s != messages.Status_STATUS_UNSPECIFIED) {
			t.Errorf("ParseStatus(%q) = %v, %v", word, back, ok)
		}
	}
	if _, ok := answer.ParseStatus("QUEUED"); ok {
		t.Error("words are lower case, yet QUEUED is taken")
	}
}

func TestJSON(t *testing.T) {
	var ctx fasthttp.RequestCtx
	answer.JSON(&ctx, 202, map[string]string{"a": "<b>"})
	if ctx.Response.StatusCode() != 202 || string(ctx.Response.Header.ContentType()) != "application/json" {
		t.Errorf("got %d %s", ctx.Response.StatusCode(), ctx.Response.Header.ContentType())
	}
	if got := string(ctx.Response.Body()); got != `{"a":"\u003cb\u003e"}` {
		t.Errorf("body %s", got)
	}
	if string(ctx.Response.Header.Peek("X-Content-Type-Options")) != "nosniff" {
		t.Error("nosniff is missing")
	}
	defer func() {
		if recover() == nil {
			t.Error("a value that does not encode was taken")
		}
	}()
	answer.JSON(&ctx, 200, func() {})
}
