// Package importhooks turns a hooks file of the program webhook (github.com/adnanh/webhook) into a configuration: each
// hook becomes a source at /hooks/ID, an exec handler and a route. It starts nothing and reads nothing but its input, and
// no secret is in what it returns as text.
//
// The one invariant: no source, handler or route accepts a delivery that the hook would have refused, but for the
// differences below. A hook whose rule cannot be kept is left out, and every key that is not kept is named.
//
// # Rules
//
// Signatures, tokens in a header and address ranges that must hold become the source's secrets and allow; the rest of the
// rule becomes the route's filter. A rule that looks for a value that is not there counts as false in a match and an or,
// makes the and around it false, and true the not around it, as it always has.
//
// # Differences
//
//   - a dotted name is a path only: a member whose own name holds dots is not looked for;
//   - numbers are compared, and passed, in their shortest form: 1.0 as 1;
//   - null is nothing, and not the text <nil>, where it is passed;
//   - the JSON in a form's field payload is looked into, whether the hook says so or not; XML and multipart bodies never are;
//   - a list or an object is not compared as JSON, neither with a value nor with a regular expression;
//   - a name that leads into something that has no members fails the delivery's route or task, not only that name;
//   - a program runs after the answer, sees only the daemon's PATH, HOME, LANG and TZ, and has an end to its time.
package importhooks
