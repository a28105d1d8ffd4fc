package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/schollz/progressbar/v3"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hooktroupe/hooktroupe/config"
	"github.com/hooktroupe/hooktroupe/daemon"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/internal/filewatch"
	"github.com/hooktroupe/hooktroupe/internal/heap"
	"github.com/hooktroupe/hooktroupe/internal/logging"
)

// defaultFile is the configuration that serve takes when it is told no other and this one is there.
const defaultFile = "hooktroupe.yaml"

// keyFlags are the flags that set keys of the configuration.
var keyFlags = map[string]string{
	"http.listen": "listen", "data_dir": "data-dir", "log.level": "log-level", "log.format": "log-format",
}

func addKeyFlags(flags *pflag.FlagSet) {
	flags.String("config", "", "configuration file (default: ./"+defaultFile+" if it exists, else a demo)")
	flags.String("listen", "", "host:port to listen on, over http.listen")
	flags.String("data-dir", "", "folder of journal and task file, over data_dir")
	flags.String("log-level", "", "debug, info, warn or error, over log.level")
	flags.String("log-format", "", "auto, json or text, over log.format")
}

func newServe(t *terminal) *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon",
		Long: "Run the daemon until SIGTERM or SIGINT, and then drain it.\n\n" +
			"Without a configuration file it runs a demo on loopback: a GitHub source with a throw-away secret,\n" +
			"a handler that logs, and its data in ./data.",
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error { return serve(c, t) },
	}
	addKeyFlags(c.Flags())
	return c
}

func serve(c *cobra.Command, t *terminal) error {
	first, err := inspect(c.Flags(), t.environ)
	if err == nil {
		err = first.Err()
	}
	if err != nil {
		return err
	}
	cfg := first.Config
	log, err := logging.New(t.err, cfg.Level(), cfg.Log.Format)
	if err != nil {
		return err
	}
	for _, warning := range first.Warnings {
		log.Warn(warning.String())
	}
	go heap.Pace(c.Context()) // ends with the process
	recovering, recovered := progress(t, log)
	return daemon.Run(c.Context(), cfg, daemon.Options{
		Reload: reloads(c.Context(), first.Files, func() (daemon.Reload, []string) {
			next, err := inspect(c.Flags(), t.environ)
			if err == nil {
				err = next.Err()
			}
			return daemon.Reload{Config: next.Config, Warnings: next.Warnings, Err: err}, next.Files
		}, log),
		Logger: log, Version: version, Revision: revision, Progress: recovering,
		Ready: func(info daemon.Info) {
			recovered()
			if first.demo {
				introduce(t, info, cfg)
			}
		},
	})
}

// reloads yields the configuration anew at every SIGHUP, and whenever the content of one of the files changes that it was
// read from. The goroutines end with ctx.
func reloads(
	ctx context.Context, files []string, load func() (daemon.Reload, []string), log *logrus.Logger,
) <-chan daemon.Reload {
	signals := make(chan os.Signal, 1) // one more is one too many: it would read the same file
	signal.Notify(signals, syscall.SIGHUP)
	watcher := filewatch.New(filewatch.Options{Clock: clock.Real{}, Log: log})
	go watcher.Run(ctx)
	fresh := make(chan daemon.Reload) // without a buffer: one that waits would be out of date
	go func() {
		defer signal.Stop(signals)
		watcher.Watch(ctx, files)
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
			case <-watcher.Changes():
			}
			next, files := load()
			watcher.Watch(ctx, files)
			select {
			case fresh <- next:
			case <-ctx.Done():
				return
			}
		}
	}()
	return fresh
}

// loaded is a configuration with everything that there is to say of it.
type loaded struct {
	*config.Report
	demo bool
}

// inspect is read, and judges the parts that the configuration describes as well: whether they can be built here.
func inspect(flags *pflag.FlagSet, environ []string) (loaded, error) {
	l, err := read(flags, environ)
	if err == nil {
		l.Add(daemon.Examine(l.Config)...)
	}
	return l, err
}

// read reads the configuration that the flags ask for, or makes the demo's, and judges it. An error is that it cannot be
// read; what is wrong with it is in the report, which is there in any case.
func read(flags *pflag.FlagSet, environ []string) (loaded, error) {
	options, l := config.Options{Environ: environ, Flags: make(map[string]*pflag.Flag)}, loaded{Report: &config.Report{}}
	for key, name := range keyFlags {
		if flag := flags.Lookup(name); flag != nil {
			options.Flags[key] = flag
		}
	}
	options.File, _ = flags.GetString("config")
	if options.File == "" {
		if _, err := os.Stat(defaultFile); err == nil {
			options.File = defaultFile
		} else if !errors.Is(err, fs.ErrNotExist) {
			return l, err
		}
	}
	if options.File == "" {
		l.demo = true
		folder, _ := flags.GetString("data-dir")
		if folder == "" {
			folder = config.Default().DataDir
		}
		var err error
		if options.Base, err = config.Demo(folder, rand.Reader); err != nil {
			return l, err
		}
	}
	var err error
	l.Report, err = config.Inspect(options)
	return l, err
}

// introduce tells a newcomer what to do next.
func introduce(t *terminal, info daemon.Info, cfg *config.Config) {
	self := os.Args[0]
	if !strings.ContainsRune(self, filepath.Separator) {
		self = "hooktroupe"
	}
	_, _ = fmt.Fprintf(t.err, `
  Hooktroupe is ready. This is the demo: loopback only, no token, one source.
    listening on   %s
    data in        %s
    secret in      %s
  Send it a signed sample delivery, as GitHub would, and watch it being worked:
    %s send --source github --event pull_request --wait --url %s

`, info.URL, cfg.DataDir, filepath.Join(cfg.DataDir, config.DemoSecretFile), self, info.URL)
}

// progress shows how far recovery is: a bar on a terminal, until done is called, a line in the log elsewhere.
func progress(t *terminal, log *logrus.Logger) (show func(daemon.Recovery), done func()) {
	var bar *progressbar.ProgressBar
	calls := 0
	show = func(r daemon.Recovery) {
		calls++
		switch {
		case isTerminal(t.err):
			if bar == nil {
				bar = newBar(t, int(r.Total), "recovering")
			}
			bar.ChangeMax64(r.Total) // it is less once the snapshot has been read
			_ = bar.Set64(min(r.Bytes, r.Total))
		case calls%50 == 0:
			log.WithField("records", r.Done).WithField("bytes", r.Bytes).Info("recovering")
		}
	}
	return show, func() {
		if bar != nil {
			_ = bar.Finish()
		}
	}
}

// newBar is a progress bar on standard error, where that is a terminal.
func newBar(t *terminal, total int, what string) *progressbar.ProgressBar {
	return progressbar.NewOptions(total, progressbar.OptionSetWriter(t.err), progressbar.OptionSetDescription(what),
		progressbar.OptionSetVisibility(isTerminal(t.err)), progressbar.OptionClearOnFinish())
}
