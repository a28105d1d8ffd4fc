// Package dashboard is the page of the operators: embedded files under /ui/ that ask the status API, and a short history of
// the metrics for their charts. The page itself holds nothing worth a token; what it shows it gets from the API with the
// token that its reader enters.
//
// The one invariant: no answer lets a browser run, load or send anything that is not this origin's (Content-Security-Policy),
// and the page writes what senders control as text, never as markup.
package dashboard

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"path"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/problem"
)

// Prefix is where the page is.
const Prefix = "/ui/"

// policy lets the page load its own files and ask its own origin, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'none'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'"

//go:embed static
var static embed.FS

// file is one embedded file as it is served.
type file struct {
	content     []byte
	contentType string
	etag        string
}

// Handler serves the page. It is safe for use by many goroutines.
type Handler struct {
	files map[string]file // by path below Prefix
}

// New returns a Handler.
func New() (*Handler, error) {
	h := &Handler{files: make(map[string]file)}
	err := fs.WalkDir(static, "static", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := static.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		h.files[strings.TrimPrefix(name, "static/")] = file{
			content: content, contentType: mime.TypeByExtension(path.Ext(name)), etag: `"` + hex.EncodeToString(sum[:8]) + `"`,
		}
		return nil
	})
	return h, err
}

// Owns says whether a decoded path is the page's.
func Owns(p []byte) bool { return string(p) == "/ui" || strings.HasPrefix(string(p), Prefix) }

// Handle serves one request for a path that Owns claims. A path that names no file is a view of the page, which finds its
// own way.
func (h *Handler) Handle(ctx *fasthttp.RequestCtx) {
	if !ctx.IsGet() && !ctx.IsHead() {
		ctx.Response.Header.Set(fasthttp.HeaderAllow, "GET, HEAD")
		problem.Write(ctx, problem.MethodNotAllowed, "", 0)
		return
	}
	if string(ctx.Path()) == "/ui" {
		ctx.Redirect(Prefix, fasthttp.StatusFound)
		return
	}
	name := strings.TrimPrefix(string(ctx.Path()), Prefix)
	f, known := h.files[name]
	switch {
	case known:
	case strings.HasPrefix(name, "assets/"):
		problem.Write(ctx, problem.NotFound, "", 0)
		return
	default:
		f = h.files["index.html"]
	}
	header := &ctx.Response.Header
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set(fasthttp.HeaderCacheControl, "no-cache")
	header.Set(fasthttp.HeaderETag, f.etag)
	if string(ctx.Request.Header.Peek(fasthttp.HeaderIfNoneMatch)) == f.etag {
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return
	}
	header.SetContentType(f.contentType)
	ctx.SetBody(f.content)
}
