//go:build linux

package ceiling

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"net"
	"sync"

	"github.com/valyala/fasthttp"
)

// maxBody is the largest body that a Verifier takes, in bytes.
const maxBody = 1 << 20

// Delivery is one that was proven, as a Verifier passes it on.
type Delivery struct {
	// ID and Event are what the sender's headers say.
	ID, Event string
	// Body is what was signed. It is lent until the call returns.
	Body []byte
}

// Verifier answers 202 to every request whose X-Hub-Signature-256 proves its body, and 401 to every other. It stores
// nothing, unless it was given something to do so.
type Verifier struct {
	macs sync.Pool            // of hash.Hash, keyed
	keep func(Delivery) error // nil: nothing is kept
}

// NewVerifier returns one that knows the secret.
func NewVerifier(secret string) *Verifier { return NewReceiver(secret, nil) }

// NewReceiver returns one that answers 202 only after keep has returned nil, and 503 after an error. Keep is called by several
// goroutines.
func NewReceiver(secret string, keep func(Delivery) error) *Verifier {
	return &Verifier{
		macs: sync.Pool{New: func() any { return hmac.New(sha256.New, []byte(secret)) }}, keep: keep,
	}
}

// Serve answers the connections of a listener until it is closed.
func (v *Verifier) Serve(l net.Listener) error {
	server := fasthttp.Server{Handler: v.handle, MaxRequestBodySize: maxBody, NoDefaultDate: true}
	return server.Serve(l)
}

func (v *Verifier) handle(ctx *fasthttp.RequestCtx) {
	ctx.SetContentType("application/json")
	if !v.proven(ctx.Request.Header.Peek("X-Hub-Signature-256"), ctx.PostBody()) {
		ctx.SetStatusCode(fasthttp.StatusUnauthorized)
		return
	}
	if v.keep != nil {
		header := &ctx.Request.Header
		d := Delivery{ID: string(header.Peek("X-GitHub-Delivery")), Event: string(header.Peek("X-GitHub-Event")), Body: ctx.PostBody()}
		if err := v.keep(d); err != nil {
			ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
			ctx.SetBodyString(err.Error())
			return
		}
	}
	ctx.SetStatusCode(fasthttp.StatusAccepted)
	ctx.SetBodyString(`{"status":"verified"}`)
}

func (v *Verifier) proven(signature, body []byte) bool {
	const prefix = "sha256="
	var claimed, computed [sha256.Size]byte
	if len(signature) != len(prefix)+2*sha256.Size || string(signature[:len(prefix)]) != prefix {
		return false
	}
	if _, err := hex.Decode(claimed[:], signature[len(prefix):]); err != nil {
		return false
	}
	mac, ok := v.macs.Get().(hash.Hash)
	if !ok {
		return false // the pool holds nothing else
	}
	defer v.macs.Put(mac)
	mac.Reset()
	_, _ = mac.Write(body) // it never fails
	return hmac.Equal(claimed[:], mac.Sum(computed[:0]))
}
