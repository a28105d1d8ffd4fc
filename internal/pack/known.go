package pack

// knownNames are the header names that are written as a number, the place in this list counted from 1. docs/FORMAT.md has
// the same list. It is part of the format: names are only ever added, at the end.
var knownNames = [...]string{
	"Accept", "Accept-Encoding", "Accept-Language", "Connection", "Content-Length", "Content-Type", "Date", "Host",
	"User-Agent", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "X-Request-Id", "Traceparent",
	"Tracestate", "Forwarded", "Via", "X-Hub-Signature", "X-Hub-Signature-256", "X-Github-Delivery", "X-Github-Event",
	"X-Github-Hook-Id", "X-Github-Hook-Installation-Target-Id", "X-Github-Hook-Installation-Target-Type",
	"X-Github-Enterprise-Host", "X-Github-Enterprise-Version", "X-Gitlab-Event", "X-Gitlab-Event-Uuid", "X-Gitlab-Instance",
	"X-Gitlab-Webhook-Uuid", "Idempotency-Key", "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature", "X-Gitea-Delivery",
	"X-Gitea-Event", "X-Gitea-Event-Type", "X-Gitea-Hook-Installation-Target-Type", "X-Gitea-Signature", "X-Gogs-Delivery",
	"X-Gogs-Event", "X-Gogs-Event-Type", "X-Gogs-Signature", "X-Forgejo-Delivery", "X-Forgejo-Event",
	"X-Forgejo-Event-Type", "X-Forgejo-Signature", "X-Event-Key", "X-Hook-Uuid", "X-Request-Uuid", "X-Attempt-Number",
	"X-Atlassian-Webhook-Identifier", "X-Atlassian-Webhook-Flow", "X-Atlassian-Webhook-Retry", "X-Vss-Activityid",
	"X-Vss-Subscriptionid", "Request-Context", "Request-Id", "Stripe-Signature", "X-Slack-Request-Timestamp",
	"X-Slack-Signature", "X-Slack-Retry-Num", "X-Slack-Retry-Reason", "X-Shopify-Topic", "X-Shopify-Hmac-Sha256",
	"X-Shopify-Shop-Domain", "X-Shopify-Api-Version", "X-Shopify-Webhook-Id", "X-Shopify-Event-Id",
	"X-Shopify-Triggered-At", "Ce-Id", "Ce-Source", "Ce-Specversion", "Ce-Time", "Ce-Type", "Ce-Subject",
	"Ce-Datacontenttype", "Ce-Dataschema",
}

// knownValues are the values, and beginnings of values, that are written as a number likewise.
var knownValues = [...]string{
	"application/json", "*/*", "gzip", "application/json; charset=utf-8", "application/x-www-form-urlencoded", "close",
	"keep-alive", "http", "https", "repository", "organization", "integration", "business", "user", "GitHub-Hookshot/",
	"GitLab/", "Go-http-client/", "Bitbucket-Webhooks/", "Atlassian HttpClient ", "VSServices/", "Stripe/",
	"Slackbot 1.0 (+https://api.slack.com/robots)", "Shopify-Captain-Hook", "gzip,deflate", "gzip, deflate", "gzip, deflate, br",
	"gzip;q=1.0,deflate;q=0.6,identity;q=0.3", "1.0", "application/cloudevents+json", "diagnostics:push", "true", "false",
}

var (
	nameNumbers  = numbers(knownNames[:])
	valueNumbers = numbers(knownValues[:])
)

func numbers(texts []string) map[string]uint64 {
	m := make(map[string]uint64, len(texts))
	for i, text := range texts {
		m[text] = uint64(i + 1)
	}
	return m
}
