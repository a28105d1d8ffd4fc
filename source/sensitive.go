package source

import "strings"

// Concealer is a Source with sensitive headers of its own, beyond those that Sensitive knows: the configured header of
// a generic source.
type Concealer interface {
	// SensitiveHeaders names headers, in any letter case, that must never be stored or shown.
	SensitiveHeaders() []string
}

// Sensitive says whether a header, in any letter case, carries credentials or a signature: it must never be stored with
// a delivery, logged or shown. A signature is among them because, with the body beside it, it is a replay ready to send.
func Sensitive(name string) bool {
	for i := range sensitive {
		if len(name) == len(sensitive[i]) && strings.EqualFold(name, sensitive[i]) {
			return true
		}
	}
	return false
}

// sensitive is read-only. The senders stand in the order of their packages.
var sensitive = [...]string{
	"Authorization",
	"Proxy-Authorization",
	"Cookie",
	"Set-Cookie",
	"X-Hub-Signature",
	"X-Hub-Signature-256",
	"X-Gitlab-Token",
	"Webhook-Signature",
	"Svix-Signature",
	"X-Gitea-Signature",
	"X-Gogs-Signature",
	"X-Forgejo-Signature",
	"Stripe-Signature",
	"X-Slack-Signature",
	"X-Shopify-Hmac-Sha256",
	"Shopify-Hmac-Sha256",
	"X-PagerDuty-Signature",
	"Linear-Signature",
	"Sentry-Hook-Signature",
}
