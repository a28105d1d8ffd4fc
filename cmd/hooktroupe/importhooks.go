package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/hooktroupe/hooktroupe/cmd/hooktroupe/internal/importhooks"
	"github.com/hooktroupe/hooktroupe/internal/logging"
)

// importing is one call of import-hooks.
type importing struct {
	secrets, output string
	strict          bool
}

func newImportHooks(t *terminal) *cobra.Command {
	var i importing
	c := &cobra.Command{
		Use:   "import-hooks FILE",
		Short: "Make a configuration of a hooks file of adnanh/webhook",
		Long: "Make a configuration of a hooks file of adnanh/webhook, in JSON or YAML. Each hook becomes a source at\n" +
			"/hooks/ID, a handler that runs its command, and a route with its trigger rule. What cannot be kept is\n" +
			"named on standard error, and a hook whose rule cannot be kept is left out. Secrets are written to one\n" +
			"file each below the folder of --secrets, and printed nowhere; a file that is there is not replaced.",
		Args: exactly(1, "a hooks file, or - for standard input"),
		RunE: func(_ *cobra.Command, args []string) error { return i.run(t, args[0]) },
	}
	f := c.Flags()
	f.StringVar(&i.secrets, "secrets", "", "folder for the files of the secrets")
	f.StringVar(&i.output, "output", "-", "file of the configuration; - for standard output")
	f.BoolVar(&i.strict, "strict", false, "write nothing and exit with 1 when there is a warning")
	return c
}

func (i *importing) run(t *terminal, file string) error {
	data, err := readInput(file)
	if err != nil {
		return err
	}
	hooks, err := importhooks.Parse(data)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	folder, err := filepath.Abs(i.secrets)
	if err != nil {
		return err
	}
	result := importhooks.Import(hooks, folder)
	for _, w := range result.Warnings {
		_, _ = fmt.Fprintln(t.err, "warning: "+logging.Clean(w.String(), 512))
	}
	switch {
	case i.strict && len(result.Warnings) > 0:
		return fmt.Errorf("%d warnings; nothing is written", len(result.Warnings))
	case i.secrets == "" && len(result.Secrets) > 0:
		return &usageError{fmt.Errorf("the hooks hold %d secrets: name a folder for them with --secrets", len(result.Secrets))}
	}
	yaml, err := result.YAML()
	if err != nil {
		return err
	}
	for _, s := range result.Secrets {
		if err := writeNew(s.Path, s.Value); err != nil {
			return err
		}
	}
	if i.output == "-" {
		_, err = t.out.Write(yaml)
	} else {
		err = writeNew(i.output, yaml)
	}
	_, _ = fmt.Fprintf(t.err, "%d hooks imported, %d left out, %d secrets\n",
		result.Imported, len(result.LeftOut), len(result.Secrets))
	return err
}

// writeNew writes a file that only its owner may read. One that is there already is left as it is, and is an error unless
// it holds the same.
func writeNew(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		if there, readErr := os.ReadFile(path); readErr == nil && bytes.Equal(there, content) {
			return nil
		}
		return fmt.Errorf("%s is there already, with another content", path)
	}
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Close())
}
