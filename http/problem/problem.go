// Package problem is every refusal that Hooktroupe gives over HTTP, as one closed table after RFC 9457. A Kind decides
// status, type URI, title and the reason that is counted; only the detail is free, and it never holds anything of a
// body, a secret or a signature.
//
// The one invariant: a type URI, once published, keeps its meaning and its status.
package problem

import (
	"encoding/json"
	"strconv"

	"github.com/valyala/fasthttp"
)

// ContentType is that of every problem.
const ContentType = "application/problem+json"

// TypePrefix begins the type URI of every problem; the kind's slug ends it. It is a name, not an address.
const TypePrefix = "urn:hooktroupe:problem:"

// Kind is one way in which a request is refused.
type Kind uint8

// The kinds there are. None is the zero Kind and no problem at all.
const (
	None              Kind = iota
	BadFraming             // where the request ends is ambiguous, or its header block is not HTTP
	HeaderTooLarge         // the header block is above its bound
	RequestTimeout         // the request did not arrive whole in time
	BodyIncomplete         // the connection ended, or the chunks were broken, before the body did
	BodyTooLarge           // the body is above its bound
	EncodedBody            // the body came with a Content-Encoding
	NotFound               // no such path
	UnknownSource          // no such source
	AddressRefused         // the source takes nothing from the client's address
	MethodNotAllowed       // the path knows other methods
	BadSignature           // nothing proves who sent it
	MalformedDelivery      // authentic, but not what its content type says
	Overloaded             // too many requests, or bytes of bodies, in flight
	RateExceeded           // the source sends more often than it may
	BacklogFull            // too many tasks wait
	StorageFull            // no room on the disk
	StorageBudget          // no room in the budget of disk
	StorageFailed          // the journal failed
	Unavailable            // any trouble of our own, to senders that take only some statuses for it
	StoreUnavailable       // the store that a cluster's members share does not answer
	Draining               // the daemon is stopping
	DeliveryTooLarge       // does not fit into one journal record
	NoAnswer               // the registry did not answer in time
	OwnerAway              // the member of a cluster that works it, or a part of it, is away
	Internal               // a panic was recovered
	Unauthorized           // the API needs a token
	TooManyGuesses         // the client has offered too many tokens that were none
	ScopeTooSmall          // the token does not allow that
	Forbidden              // a browser speaks for another site, or the Host is not ours
	BadParameter           // a path or query parameter is not what it has to be
	TaskNotFound           // no task of that ID
	TaskConflict           // the task is not in a state for that
	LaneNotFound           // no lane of that key
	LaneConflict           // nothing waits in the lane
	ReplayNotFound         // no replay of that ID
	ReplayConflict         // the replay has ended, or too many run
	ProfileRuns            // one profile is taken at a time
	kinds                  // how many
)

// definition is one row of the table.
type definition struct {
	status int
	slug   string
	reason string
	title  string
}

// table has a row for every kind but None, and never changes.
var table = [kinds]definition{
	BadFraming:        {400, "bad-framing", "bad_framing", "The request is not well-formed HTTP"},
	HeaderTooLarge:    {431, "header-too-large", "header_too_large", "The header block is too large"},
	RequestTimeout:    {408, "request-timeout", "request_timeout", "The request did not arrive in time"},
	BodyIncomplete:    {400, "body-incomplete", "body_incomplete", "The body did not arrive whole"},
	BodyTooLarge:      {413, "body-too-large", "body_too_large", "The body is too large"},
	EncodedBody:       {415, "encoded-body", "encoded_body", "Encoded bodies are not accepted"},
	NotFound:          {404, "not-found", "not_found", "There is nothing at this path"},
	UnknownSource:     {404, "unknown-source", "unknown_source", "There is no such source"},
	AddressRefused:    {403, "address-refused", "address_refused", "Deliveries are not taken from this address"},
	MethodNotAllowed:  {405, "method-not-allowed", "method_not_allowed", "The method is not allowed here"},
	BadSignature:      {401, "bad-signature", "bad_signature", "The request is not authentic"},
	MalformedDelivery: {400, "malformed-delivery", "malformed_delivery", "The delivery is malformed"},
	Overloaded:        {503, "overloaded", "overloaded", "Too many requests are in flight"},
	RateExceeded:      {503, "rate-exceeded", "rate_exceeded", "The source sends too many deliveries"},
	BacklogFull:       {503, "backlog-full", "backlog_full", "Too many tasks wait"},
	StorageFull:       {507, "storage-full", "storage_full", "There is no room to store the delivery"},
	StorageBudget:     {503, "storage-budget", "storage_budget", "The budget of disk is used up"},
	StorageFailed:     {503, "storage-failed", "storage_failed", "The delivery cannot be stored"},
	Unavailable:       {503, "unavailable", "unavailable", "Deliveries cannot be taken now"},
	StoreUnavailable:  {503, "store-unavailable", "store_unavailable", "The delivery cannot be stored at the moment"},
	Draining:          {503, "draining", "draining", "The daemon is stopping"},
	DeliveryTooLarge:  {413, "delivery-too-large", "delivery_too_large", "The delivery does not fit into one record"},
	NoAnswer:          {503, "no-answer", "no_answer", "The daemon did not answer in time"},
	OwnerAway:         {503, "owner-away", "owner_away", "The member of the cluster that works it is away at the moment"},
	Internal:          {500, "internal", "internal", "The daemon made a mistake"},
	Unauthorized:      {401, "unauthorized", "unauthorized", "A bearer token is needed"},
	TooManyGuesses:    {429, "too-many-guesses", "too_many_guesses", "Too many tokens from there were not valid"},
	ScopeTooSmall:     {403, "scope-too-small", "scope_too_small", "The token does not allow that"},
	Forbidden:         {403, "forbidden", "forbidden", "The request comes from elsewhere"},
	BadParameter:      {400, "bad-parameter", "bad_parameter", "A parameter is not valid"},
	TaskNotFound:      {404, "task-not-found", "task_not_found", "There is no such task"},
	TaskConflict:      {409, "task-conflict", "task_conflict", "The task is not in a state for that"},
	LaneNotFound:      {404, "lane-not-found", "lane_not_found", "No task has that ordering key"},
	LaneConflict:      {409, "lane-conflict", "lane_conflict", "Nothing waits under that ordering key"},
	ReplayNotFound:    {404, "replay-not-found", "replay_not_found", "There is no such replay"},
	ReplayConflict:    {409, "replay-conflict", "replay_conflict", "Replays are not in a state for that"},
	ProfileRuns:       {409, "profile-runs", "profile_runs", "Another profile is being taken"},
}

// define returns the row of a kind; what is no kind is a mistake of ours.
func define(k Kind) definition {
	if k == None || k >= kinds {
		k = Internal
	}
	return table[k]
}

// All lists every kind but None, in the order of the table.
func All() []Kind {
	all := make([]Kind, 0, kinds-1)
	for k := None + 1; k < kinds; k++ {
		all = append(all, k)
	}
	return all
}

// Status is the HTTP status.
func (k Kind) Status() int { return define(k).status }

// Type is the type URI.
func (k Kind) Type() string { return TypePrefix + define(k).slug }

// Reason is the label under which the kind is counted and logged: lower case with underscores.
func (k Kind) Reason() string { return define(k).reason }

// Title is one short sentence without its full stop, the same for every occurrence.
func (k Kind) Title() string { return define(k).title }

// Body is a problem as it is encoded.
type Body struct {
	// Type is a URI of TypePrefix.
	Type string `json:"type"`
	// Title belongs to the type.
	Title string `json:"title"`
	// Status repeats the HTTP status.
	Status int `json:"status"`
	// Detail belongs to this occurrence, and may be absent.
	Detail string `json:"detail,omitempty"`
}

// Write makes the response that problem, in place of whatever it was. retryAfter is in seconds; zero sets no
// Retry-After. Headers that were set before stay.
func Write(ctx *fasthttp.RequestCtx, k Kind, detail string, retryAfter uint32) {
	d := define(k)
	body, err := json.Marshal(Body{Type: TypePrefix + d.slug, Title: d.title, Status: d.status, Detail: detail})
	if err != nil {
		body = []byte(`{"type":"about:blank"}`) // strings and an int always encode
	}
	h := &ctx.Response.Header
	h.SetContentType(ContentType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if retryAfter > 0 {
		h.Set("Retry-After", strconv.FormatUint(uint64(retryAfter), 10))
	}
	ctx.SetStatusCode(d.status)
	ctx.Response.SetBodyRaw(body)
}
