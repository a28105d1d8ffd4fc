// Command hooktroupe receives webhooks, makes each one durable before it answers 202, and works it afterwards.
//
//	hooktroupe serve                     run the daemon; without a configuration file, a demo on loopback
//	hooktroupe send --source github      send a signed sample delivery, as the forge would
//	hooktroupe status ID                 show one task
//	hooktroupe tasks list|tail|show|export|retry|cancel|move
//	hooktroupe listen --forward URL      forward what a daemon receives to this machine
//	hooktroupe lanes list|show|pause|resume
//	hooktroupe replay                    run dead letters again
//	hooktroupe route --source github     say where a delivery would go, and why
//	hooktroupe routes|handlers           list them, and what holds them up
//	hooktroupe cluster                   show members, shards and leases
//	hooktroupe top                       show how a daemon is, again and again
//	hooktroupe config check|show|example|schema
//	hooktroupe journal inspect|verify|repair DIR
//	hooktroupe verify --source github    say why a captured delivery is accepted, or why not
//	hooktroupe sources [TYPE]            list the types of sources with what each needs
//	hooktroupe import-hooks FILE         make a configuration of a hooks file of adnanh/webhook
//	hooktroupe migrate                   bring a cluster's store to the schema of this version
//	hooktroupe token                     make a bearer token for the status API
//	hooktroupe completion SHELL|man DIR   write completions and manual pages
//	hooktroupe version
//
// Data goes to standard output, everything else to standard error. Exit codes:
//
//	0 done                    5 refused by the daemon
//	1 failed                  6 the daemon cannot be reached
//	2 wrong usage             7 the task did not end as completed
//	3 configuration invalid  75 try again later
//	4 not found
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hooktroupe/hooktroupe/client"
	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/journal/postgres"
)

// version and revision are set by the linker.
var (
	version  = "dev"
	revision = "unknown"
)

func main() {
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// The exit codes.
const (
	exitOK            = 0
	exitFailed        = 1
	exitUsage         = 2
	exitConfiguration = 3
	exitNotFound      = 4
	exitRefused       = 5
	exitUnreachable   = 6
	exitCondition     = 7
	exitTryAgain      = 75
)

// exitCodes is what people and manual pages are told of them.
const exitCodes = `Data goes to standard output, everything else to standard error. Colours and progress bars
are for terminals; NO_COLOR turns colours off. Exit codes:

    0  done                    5  refused by the daemon
    1  failed                  6  the daemon cannot be reached
    2  wrong usage             7  the task did not end as completed
    3  configuration invalid  75  try again later
    4  not found`

// terminal is what the commands talk to.
type terminal struct {
	out, err io.Writer
	environ  []string
}

// run executes one command line. A first SIGINT or SIGTERM ends the command's context; a second one ends the process.
func run(args, environ []string, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() { // ends with the context; the second signal finds the default behaviour
		<-ctx.Done()
		stop()
	}()
	root := newRoot(&terminal{out: out, err: errs, environ: environ})
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if message := err.Error(); message != "" {
		_, _ = fmt.Fprintln(errs, "hooktroupe: "+message)
	}
	return exitCode(err)
}

func newRoot(t *terminal) *cobra.Command {
	root := &cobra.Command{
		Use:           "hooktroupe",
		Short:         "Webhooks in, a troupe of actors does the work",
		Long:          "Webhooks in, a troupe of actors does the work.\n\n" + exitCodes,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version,
	}
	root.SetOut(t.out)
	root.SetErr(t.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &usageError{fmt.Errorf("%w (see %s --help)", err, c.CommandPath())}
	})
	root.AddCommand(
		newServe(t), newSend(t), newStatus(t), newTasks(t), newLanes(t), newReplay(t), newRoute(t), newRoutes(t), newHandlers(t),
		newCluster(t), newTop(t), newVerify(t), newConfig(t), newJournal(t), newSources(t), newImportHooks(t), newListen(t), newMigrate(t),
		newToken(t), newCert(t), newMan(t), newVersion(t))
	return root
}

// usageError is a command line that cannot be meant.
type usageError struct{ error }

// conditionError is a task that did not end as it should have.
type conditionError struct{ error }

// exitCode maps what went wrong.
func exitCode(err error) int {
	var (
		usage     *usageError
		condition *conditionError
		problems  config.Problems
		problem   *client.Problem
		code      codeError
	)
	switch {
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, postgres.ErrUnavailable):
		return exitUnreachable
	case errors.As(err, &condition):
		return exitCondition
	case errors.As(err, &problems):
		return exitConfiguration
	case errors.As(err, &problem):
		return problemCode(problem.Status)
	case errors.Is(err, client.ErrUnreachable):
		return exitUnreachable
	default:
		return exitFailed
	}
}

// codeError is an exit code for which everything has been said already.
type codeError int

// Error is empty: nothing more is printed.
func (codeError) Error() string { return "" }

func problemCode(status int) int {
	switch status {
	case http.StatusNotFound:
		return exitNotFound
	case http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusInsufficientStorage:
		return exitTryAgain
	default:
		return exitRefused
	}
}

// exactly is cobra.ExactArgs with an error of ours.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return &usageError{fmt.Errorf("%s takes %s (see %s --help)", c.CommandPath(), what, c.CommandPath())}
		}
		return nil
	}
}
