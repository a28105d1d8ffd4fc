// Package messages is what actors, and members of a cluster, say to each other: commands (imperative), events (past
// tense) and queries (Get…, with a …Reply), generated from proto/webhook/v1. A message is immutable once it is sent.
// The package holds no behaviour; messages/journalv1 is its sibling for what reaches the disk.
package messages
