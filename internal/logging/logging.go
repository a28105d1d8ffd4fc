// Package logging sets up the one log of the daemon: logrus, in JSON or text, on standard error, and a bridge by which
// what logs through slog, the actor library above all, ends up in the same place with the same field names.
package logging

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sirupsen/logrus"
)

// maxValue bounds a text in an entry, in bytes; a stack may be longer.
const (
	maxValue = 256
	maxStack = 8 << 10
)

// New returns a logger. Level is debug, info, warn or error; format is json, text, or auto, which is text where out is a
// terminal.
func New(out io.Writer, level, format string) (*logrus.Logger, error) {
	parsed, err := logrus.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("log level: %w", err)
	}
	log := logrus.New()
	log.SetOutput(out)
	log.SetLevel(parsed)
	switch {
	case format == "json", format == "auto" && !terminal(out):
		log.SetFormatter(&logrus.JSONFormatter{TimestampFormat: time.RFC3339Nano})
	case format == "text", format == "auto":
		log.SetFormatter(&logrus.TextFormatter{
			FullTimestamp: true, TimestampFormat: "15:04:05.000", DisableColors: os.Getenv("NO_COLOR") != "",
		})
	default:
		return nil, fmt.Errorf("log format: %q is none of json, text, auto", format)
	}
	return log, nil
}

func terminal(out io.Writer) bool {
	file, isFile := out.(*os.File)
	if !isFile {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Clean makes a text that an outsider may have written fit for a log: control characters are escaped, and what is longer
// than most bytes is cut.
func Clean(text string, most int) string {
	cut := len(text) > most
	if cut {
		text = strings.ToValidUTF8(text[:most], "")
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unprintable) {
		quoted := strconv.Quote(text)
		text = quoted[1 : len(quoted)-1]
	}
	if cut {
		text += "…"
	}
	return text
}

func unprintable(r rune) bool { return !strconv.IsPrint(r) }
