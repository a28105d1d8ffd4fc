package http

import (
	"bytes"
	"encoding/json"
	"math"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/answer"
	"github.com/hooktroupe/hooktroupe/http/audit"
	"github.com/hooktroupe/hooktroupe/http/auth"
	"github.com/hooktroupe/hooktroupe/http/problem"
	"github.com/hooktroupe/hooktroupe/internal/logfield"
)

const (
	// sessionPath is where a browser opens its session (POST), asks who it is (GET) and closes it (DELETE).
	sessionPath = "/api/v1/session"
	// plainCookie holds the secret of a session. Over HTTPS it is secureCookie: browsers take a name with that prefix only
	// from the host itself, encrypted and for all its paths.
	plainCookie  = "hooktroupe_session"
	secureCookie = "__Host-hooktroupe_session"
	// maxLoginBody bounds the body of a request that opens a session, in bytes.
	maxLoginBody = 4 << 10
)

// sessionBody says who somebody is.
type sessionBody struct {
	Name      string  `json:"name"`
	Scope     string  `json:"scope"`
	ExpiresAt *string `json:"expires_at"`
}

// session serves sessionPath.
func (f *faces) session(ctx *fasthttp.RequestCtx) {
	switch string(ctx.Method()) {
	case fasthttp.MethodGet, fasthttp.MethodHead:
		if f.admit(ctx) {
			answerSession(ctx, auth.Of(ctx), f.guard.sessionEnd(ctx))
		}
	case fasthttp.MethodPost:
		f.login(ctx)
	case fasthttp.MethodDelete:
		f.logout(ctx)
	case fasthttp.MethodOptions:
		ctx.SetStatusCode(fasthttp.StatusNoContent)
		ctx.Response.Header.Set(fasthttp.HeaderAllow, "GET, HEAD, POST, DELETE, OPTIONS")
	default:
		ctx.Response.Header.Set(fasthttp.HeaderAllow, "GET, HEAD, POST, DELETE, OPTIONS")
		problem.Write(ctx, problem.MethodNotAllowed, "", 0)
	}
}

// login opens a session for who shows a token. What is wrong counts as a guess.
func (f *faces) login(ctx *fasthttp.RequestCtx) {
	client := ctx.RemoteAddr()
	if foreign(ctx) {
		problem.Write(ctx, problem.Forbidden, "sessions are not opened for pages of other origins", 0)
		return
	}
	if wait := f.guard.guesses.Wait(client); wait > 0 {
		problem.Write(ctx, problem.TooManyGuesses, "", uint32(math.Ceil(wait.Seconds())))
		return
	}
	token, ok := readLogin(ctx)
	if !ok {
		return
	}
	who, known := f.guard.access.Load().keys.Find([]byte(token))
	if !known {
		f.guard.guesses.Wrong(client)
		f.deps.Log.WithField(logfield.ClientAddress, client.String()).Warn("a token that is none was offered to open a session")
		problem.Write(ctx, problem.Unauthorized, "the token is not valid", 0)
		return
	}
	secret, err := f.guard.sessions.Open(who)
	if err != nil {
		f.deps.Log.WithField(logfield.Error, err.Error()).Error("no session could be opened")
		problem.Write(ctx, problem.Internal, "", 0)
		return
	}
	setSession(ctx, secret)
	answerSession(ctx, who, f.deps.Clock.Now().Add(auth.SessionLife))
	f.record(ctx, who, "session.open")
}

// readLogin reads the token of a request that opens a session, or answers why not.
func readLogin(ctx *fasthttp.RequestCtx) (token string, ok bool) {
	var body bytes.Buffer
	if ctx.Request.Header.ContentLength() > maxLoginBody {
		problem.Write(ctx, problem.BodyTooLarge, "", 0)
		return "", false
	}
	if err := ctx.Request.BodyWriteTo(&bound{&body, maxLoginBody}); err != nil {
		ctx.SetConnectionClose()
		problem.Write(ctx, problem.BodyTooLarge, "", 0)
		return "", false
	}
	var request struct {
		Token string `json:"token"`
	}
	decoder := json.NewDecoder(&body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&request); err != nil || request.Token == "" {
		problem.Write(ctx, problem.BadParameter, "the body: an object with a token", 0)
		return "", false
	}
	return request.Token, true
}

// bound takes in a bounded number of bytes.
type bound struct {
	to   *bytes.Buffer
	most int
}

// Write fails where the bound is passed.
func (b *bound) Write(p []byte) (int, error) {
	if b.to.Len()+len(p) > b.most {
		return 0, fasthttp.ErrBodyTooLarge
	}
	return b.to.Write(p)
}

// logout closes the session of the cookie, if there is one, and takes the cookie back.
func (f *faces) logout(ctx *fasthttp.RequestCtx) {
	secret := sessionCookie(ctx)
	who, _, known := f.guard.sessions.Find(secret)
	if known && !ownPage(ctx) {
		problem.Write(ctx, problem.Forbidden, "commands are not taken from pages of other origins", 0)
		return
	}
	f.guard.sessions.Close(secret)
	setSession(ctx, "")
	ctx.SetStatusCode(fasthttp.StatusNoContent)
	if known {
		f.record(ctx, who, "session.close")
	}
}

// record writes to the audit.
func (f *faces) record(ctx *fasthttp.RequestCtx, who auth.Principal, action string) {
	f.deps.Audit.Add(audit.Record{
		At: f.deps.Clock.Now(), Who: who, Client: ctx.RemoteAddr().String(), Action: action, Status: ctx.Response.StatusCode(),
	})
}

func answerSession(ctx *fasthttp.RequestCtx, who auth.Principal, ends time.Time) {
	body := sessionBody{Name: who.Name, Scope: who.Scope.String()}
	if !ends.IsZero() {
		text := ends.UTC().Format(time.RFC3339)
		body.ExpiresAt = &text
	}
	answer.JSON(ctx, fasthttp.StatusOK, body)
}

// setSession gives the browser its secret, or takes it back where that is empty. No script may read it, no other site's page
// sends it, and where the page was loaded encrypted, which its Origin tells also behind a proxy, it goes nowhere in clear.
func setSession(ctx *fasthttp.RequestCtx, secret string) {
	secure := ctx.IsTLS() || bytes.HasPrefix(ctx.Request.Header.Peek(fasthttp.HeaderOrigin), []byte("https://"))
	cookie := fasthttp.AcquireCookie()
	defer fasthttp.ReleaseCookie(cookie)
	cookie.SetKey(plainCookie)
	if secure {
		cookie.SetKey(secureCookie)
	}
	cookie.SetValue(secret)
	cookie.SetPath("/")
	cookie.SetHTTPOnly(true)
	cookie.SetSecure(secure)
	cookie.SetSameSite(fasthttp.CookieSameSiteStrictMode)
	cookie.SetMaxAge(int(auth.SessionLife.Seconds()))
	if secret == "" {
		cookie.SetExpire(fasthttp.CookieExpireDelete)
		cookie.SetMaxAge(0)
	}
	ctx.Response.Header.SetCookie(cookie)
}

// sessionCookie is the secret that a browser bears; empty for none.
func sessionCookie(ctx *fasthttp.RequestCtx) []byte {
	if secret := ctx.Request.Header.Cookie(secureCookie); len(secret) > 0 {
		return secret
	}
	return ctx.Request.Header.Cookie(plainCookie)
}

// admit lets a request through that may be served, and answers any other.
func (f *faces) admit(ctx *fasthttp.RequestCtx) bool {
	v := f.guard.judge(ctx)
	if v.kind == problem.None {
		return true
	}
	if v.kind == problem.Unauthorized {
		ctx.Response.Header.Set(fasthttp.HeaderWWWAuthenticate, "Bearer")
	}
	if v.kind == problem.Forbidden {
		f.deps.Log.WithFields(logrus.Fields{
			logfield.ClientAddress: ctx.RemoteAddr().String(), logfield.Error: v.detail,
		}).Debug("a request to the API was refused")
	}
	problem.Write(ctx, v.kind, v.detail, v.retryAfter)
	return false
}
