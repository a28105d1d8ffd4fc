// Package route decides which handlers a delivery goes to. A table of routes is tried in order: a route matches by globs
// over source and event type, and by an expression over headers and payload; the first that matches wins, unless it says
// to continue. Everything is compiled when the table is made, and bounded in time and memory when it runs, whatever the
// payload. The package is pure: no clock, no I/O, no log.
//
// The one invariant: Explain says what Route does.
//
// # Expressions
//
// Expressions are those of expr-lang.org, and see these names; any other is an error when the table is made:
//
//	source       name of the configured source
//	event        event type, with its action: pull_request.opened
//	delivery_id  the sender's name of the delivery; may be empty
//	key          ordering key that the source proposes; may be empty
//	header(name) first value of a header, in any case; "" where there is none
//	headers      the values of each header, by canonical name: headers["X-Github-Event"][0]
//	payload      the body as JSON, or the JSON in the field payload of a form, or else the fields of the form;
//	             nil where it is none of these
//	body_size    bytes of the body
//
// A number is an int where it is written as one and fits, so that an ID stays what it was; else a float64. Fetching
// through nil gives nil; nil as a filter is false, and as a key it is none. A filter that gives anything else but true or
// false fails, and so does an index behind the end of a list.
//
// # Bounds
//
// A sender chooses the payload, so no payload may make an expression slow or large:
//
//   - an expression has at most 4 KiB and 500 nodes;
//   - it looks into payloads of at most 4 MiB, 200000 values and 10000 levels;
//   - a loop (all, any, count, filter, find, none, one) goes through at most 1000 elements, contains no other loop, and
//     where it looks at payload for each of them, elements times bytes of the body are at most 16 Mi;
//   - the pattern of matches is a literal, and there are no ranges, powers, variables, map, reduce or sort;
//   - there is no function that reads a clock, decodes, or makes much of little.
//
// What is beyond the bounds of a payload fails on that delivery only: the route does not match, and Route says why.
package route
