// Package logfield names the fields of log entries, one constant for one thing, so that a query written for one part of
// the daemon works on all of it. Names follow the OpenTelemetry semantic conventions where those have one. No field
// carries a body, a header value or a secret.
package logfield

// What an entry is about.
const (
	TaskID      = "task.id"      // webhook_id, a UUIDv7 in text form
	TaskAttempt = "task.attempt" // from 1 over the whole life of the task
	Status      = "status"       // a status of the task, in the words of the API
	Outcome     = "outcome"      // how an attempt ended
	Source      = "source"       // the configured name of the source
	Event       = "event"        // event type, in the sender's words
	DeliveryID  = "delivery.id"  // the sender's ID; may be empty
	Key         = "key"          // ordering key; may be empty
	Route       = "route"        // the configured name of the route
	Handler     = "handler"      // the name of a handler's binding
	Reason      = "reason"       // one of a closed set, as on the metric
	Bytes       = "bytes"        // a size
	DurationMS  = "duration_ms"  // milliseconds, as a number
	Error       = "error"        // the text of an error, bounded and escaped
	ErrorType   = "error.type"   // its class, one of a closed set
)

// Where it happened.
const (
	Component  = "component"           // the package or subsystem that speaks
	Actor      = "actor"               // the name of an actor
	Shard      = "shard"               // a number
	Member     = "service.instance.id" // the name of a member
	Generation = "generation"          // of a lease
	File       = "file"                // a path below the data folder, or of the configuration
	Index      = "index"               // a place in the journal
)

// Who gave a command to the status API, and which.
const (
	Audit      = "audit"      // the command, one of a closed set: every entry with it is a record of the audit
	UserName   = "user.name"  // the name of the token
	UserScope  = "user.scope" // read, operate or admin
	Target     = "target"     // the task, key or replay that the command is about
	Parameters = "parameters" // those that the command knows, bounded and escaped
)

// What the wire said.
const (
	Address       = "address"        // one that the daemon listens on or calls
	ClientAddress = "client.address" // the peer, or what a trusted proxy says it is
	Method        = "http.request.method"
	HTTPRoute     = "http.route" // a template, never a raw path
	HTTPStatus    = "http.response.status_code"
	TraceID       = "trace_id"
	SpanID        = "span_id"
)
