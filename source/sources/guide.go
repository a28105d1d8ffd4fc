package sources

// Guide is what an operator needs to know about a type of source, in a few words each; the type's page in docs/sources
// says more.
type Guide struct {
	// Sender is its name.
	Sender string `json:"sender"`
	// Needs says what secret the configuration needs.
	Needs string `json:"needs"`
	// Setting says what to choose at the sender.
	Setting string `json:"setting"`
	// Verifies says which proof is checked, and whether it covers the body and a time stamp.
	Verifies string `json:"verifies"`
	// Event, DeliveryID and Key say where event type, delivery ID and ordering key come from.
	Event      string `json:"event"`
	DeliveryID string `json:"delivery_id"`
	Key        string `json:"key"`
}

const secretOfHook = "the secret that is set with the webhook"

// Guides returns the guide of each type. The map is the caller's.
func Guides() map[string]Guide {
	return map[string]Guide{
		"github": {
			Sender: "GitHub and GitHub Enterprise Server", Needs: secretOfHook,
			Setting:  "content type application/json (the form is taken, too)",
			Verifies: "X-Hub-Signature-256: HMAC-SHA256 of the raw body", Event: "X-GitHub-Event and the action",
			DeliveryID: "X-GitHub-Delivery; a redelivery has the same", Key: "repository and pull request, issue or ref",
		},
		"gitlab": {
			Sender: "GitLab", Needs: "the secret token, or a signing token (whsec_…), which is better",
			Setting:  "a signing token where the version has them (19.0)",
			Verifies: "webhook-signature over ID, time and body with a signing token; else X-Gitlab-Token, which proves no body",
			Event:    "object_kind or event_name, and the action", DeliveryID: "Idempotency-Key; a resend has the same",
			Key: "project and merge request, issue or ref",
		},
		"azure_devops": {
			Sender: "Azure DevOps Services and Server", Needs: "the password of basic authentication, with username; or the value of a header",
			Setting:  "a service hook of type Web Hooks with basic authentication or a header, over TLS",
			Verifies: "Authorization: Basic, or that header, neither of which proves the body", Event: "eventType of the body",
			DeliveryID: "subscriptionId and notificationId", Key: "repository and pull request, ref or work item",
		},
		"bitbucket_server": {
			Sender: "Bitbucket Server and Data Center", Needs: secretOfHook, Setting: "a secret; its test button is not signed",
			Verifies: "X-Hub-Signature: HMAC-SHA256 of the raw body", Event: "X-Event-Key", DeliveryID: "X-Request-Id",
			Key: "project, repository and pull request or ref",
		},
		"bitbucket_cloud": {
			Sender: "Bitbucket Cloud", Needs: secretOfHook, Setting: "a secret",
			Verifies: "X-Hub-Signature: HMAC-SHA256 of the raw body", Event: "X-Event-Key",
			DeliveryID: "X-Request-UUID; its repeated attempts have the same", Key: "repository and pull request, issue or ref",
		},
		"gitea": {
			Sender: "Gitea", Needs: secretOfHook, Setting: "method POST, content type application/json",
			Verifies: "X-Gitea-Signature: HMAC-SHA256 of the JSON", Event: "X-Gitea-Event and the action",
			DeliveryID: "X-Gitea-Delivery; a replay has a new one", Key: "repository and pull request, issue or ref",
		},
		"forgejo": {
			Sender: "Forgejo", Needs: secretOfHook, Setting: "method POST, content type application/json",
			Verifies: "X-Forgejo-Signature: HMAC-SHA256 of the JSON", Event: "X-Forgejo-Event and the action",
			DeliveryID: "X-Forgejo-Delivery; a replay has a new one", Key: "repository and pull request, issue or ref",
		},
		"standard_webhooks": {
			Sender: "Standard Webhooks senders, such as Svix", Needs: "a key: whsec_… (symmetric) or whpk_… (ed25519)",
			Setting:  "nothing more",
			Verifies: "webhook-signature v1 or v1a over ID, time and body", Event: "type of the body",
			DeliveryID: "webhook-id; a retry has the same", Key: "none",
		},
		"stripe": {
			Sender: "Stripe", Needs: "the endpoint's signing secret, whsec_ included: it is taken as text",
			Setting:  "the events that you need",
			Verifies: "Stripe-Signature: HMAC-SHA256 over time and body", Event: "type of the body", DeliveryID: "id of the body",
			Key: "account and object",
		},
		"slack": {
			Sender: "Slack", Needs: "the app's signing secret", Setting: "the request URL; its challenge is answered at once",
			Verifies: "X-Slack-Signature: HMAC-SHA256 over time and body", Event: "type of the event", DeliveryID: "event_id",
			Key: "team and channel",
		},
		"shopify": {
			Sender: "Shopify", Needs: "the app's client secret, or the store's webhook secret", Setting: "format JSON",
			Verifies: "X-Shopify-Hmac-Sha256: HMAC-SHA256 of the raw body, base64", Event: "X-Shopify-Topic",
			DeliveryID: "X-Shopify-Webhook-Id", Key: "shop and object",
		},
		"jira": {
			Sender: "Jira Cloud", Needs: secretOfHook, Setting: "a secret",
			Verifies: "X-Hub-Signature: HMAC-SHA256 of the raw body", Event: "webhookEvent of the body",
			DeliveryID: "X-Atlassian-Webhook-Identifier", Key: "issue",
		},
		"cloudevents": {
			Sender: "CloudEvents over HTTP, such as Azure Event Grid", Needs: "a token, as a bearer or as access_token in the URL",
			Setting:  "the bearer header: a token in a URL ends up in logs",
			Verifies: "the token, which proves no body", Event: "ce-type, or type", DeliveryID: "source and id of the event",
			Key: "partitionkey",
		},
		"generic": {
			Sender: "anything else", Needs: "a key, token or password", Setting: "what generic: {scheme: …} describes",
			Verifies: "HMAC, token, basic or bearer", Event: "generic.event_header or event_path",
			DeliveryID: "generic.id_header or id_path; else a hash of the body", Key: "generic.key_path",
		},
	}
}
