package actors

// The names of the actors that there is one of. Spawning by name is how each stays the only one.
const (
	nameSupervisor = "supervisor"
	nameRegistry   = "registry"
	namePersister  = "persister"
	nameWorkers    = "workers"
	nameReplays    = "replays"
	nameIntake     = "intake"
	nameTail       = "tail"
	nameLoader     = "loader"
	nameHandlers   = "handlers"
	nameAttempt    = "attempt"
	nameReplies    = "replies"
)
