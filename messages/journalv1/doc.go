// Package journalv1 is the payload of each journal record, generated from proto/journal/v1; docs/FORMAT.md says how
// records are framed. It ages apart from package messages: what was written once must be readable for ever.
package journalv1
