// Package exec is the handler that runs a program for each task: an argument vector, never a shell, with the body on
// standard input and what else is known of the task in the environment. It puts nothing that a sender wrote into the
// arguments but what Config.Inputs asks for, and refuses to let a program see the daemon's own environment.
//
// The one invariant: when Handle returns, nothing of the program's process group is left running.
//
// # Outcomes
//
//	exit 0                  completed; the result is the start of standard output
//	exit in DiscardCodes    discarded
//	any other exit          another attempt; 75 (EX_TEMPFAIL) always is one, and may not be in DiscardCodes
//	killed by a signal      another attempt
//	not started             another attempt: memory and process tables recover
//	NUL in a value          discarded, and nothing is run: no environment can carry it
//	Config.Inputs fails     discarded, and nothing is run; so it is where a value is too long
//
// Errors end with the tail of standard error, control bytes escaped.
//
// # Environment
//
// PATH, HOME, LANG and TZ of the daemon; the names in Config.Env, as the daemon has them; Config.Set; Config.Variables; and
//
//	HOOKTROUPE_TASK_ID       the webhook_id; with the attempt, an idempotency key
//	HOOKTROUPE_ATTEMPT       from 1
//	HOOKTROUPE_SOURCE        the configured name of the source
//	HOOKTROUPE_EVENT         the event type
//	HOOKTROUPE_DELIVERY_ID   the sender's ID for the delivery; may be empty
//	HOOKTROUPE_KEY           the ordering key; may be empty
//	TRACEPARENT, TRACESTATE  the trace that the attempt is part of, as in the W3C's Trace Context, where there is one
//	HOOKTROUPE_HEADER_NAME   each header, X-GitHub-Event as X_GITHUB_EVENT: the first of a name; names of letters, digits
//	                         and hyphens only, so that no two names make one variable
//
// Their values are the sender's words. A program that hands them to a shell must quote them.
//
// # Limits
//
// The kernel bounds memory (RLIMIT_DATA) and processor time (RLIMIT_CPU) of each process where Config says so.
// A program that allocates more is told so and usually fails; one that computes longer is killed by SIGXCPU. Wall-clock
// time is bounded by Config.Timeout and by the attempt's deadline.
//
// # The end of a program
//
// A program runs in a process group of its own. When the attempt's context or the timeout ends, the group is sent
// SIGTERM, and SIGKILL after KillGrace. As soon as the program itself has ended, by itself or so, what it left running
// in the group is killed. A process that has left the group and keeps an output open delays Handle by at most a second
// and is not waited for.
//
// Should the daemon die, Linux kills the program (PR_SET_PDEATHSIG), so that it does not run beside the attempt that
// follows recovery. Linux takes the death of the thread for that of the parent; the goroutine that starts a program
// therefore keeps its thread until the program has ended.
package exec
