package logging

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/internal/logfield"
)

// Bridge returns a slog.Logger that writes to log, with the name of the component in every entry.
func Bridge(log *logrus.Logger, component string) *slog.Logger {
	return slog.New(&bridge{log: log, fields: logrus.Fields{logfield.Component: component}})
}

// bridge is a slog.Handler. It is immutable: WithAttrs and WithGroup return copies.
type bridge struct {
	log    *logrus.Logger
	fields logrus.Fields
	prefix string
}

// Enabled says whether an entry of that level would be written.
func (b *bridge) Enabled(_ context.Context, level slog.Level) bool {
	return b.log.IsLevelEnabled(levelOf(level))
}

// raised are messages that the actor library logs at a lower level than they deserve.
var raised = []string{"[ACTOR] Recovering"}

// Handle writes one entry.
func (b *bridge) Handle(_ context.Context, r slog.Record) error {
	fields := make(logrus.Fields, len(b.fields)+r.NumAttrs())
	for name, value := range b.fields {
		fields[name] = value
	}
	r.Attrs(func(attr slog.Attr) bool {
		add(fields, b.prefix, attr)
		return true
	})
	level := levelOf(r.Level)
	if level > logrus.WarnLevel && slices.Contains(raised, r.Message) {
		level = logrus.WarnLevel
	}
	b.log.WithTime(r.Time).WithFields(fields).Log(level, Clean(r.Message, maxValue))
	return nil
}

// WithAttrs returns a handler whose entries have the attributes.
func (b *bridge) WithAttrs(attrs []slog.Attr) slog.Handler {
	fields := make(logrus.Fields, len(b.fields)+len(attrs))
	for name, value := range b.fields {
		fields[name] = value
	}
	for _, attr := range attrs {
		add(fields, b.prefix, attr)
	}
	return &bridge{log: b.log, fields: fields, prefix: b.prefix}
}

// WithGroup returns a handler that puts a name before those of the attributes.
func (b *bridge) WithGroup(name string) slog.Handler {
	return &bridge{log: b.log, fields: b.fields, prefix: b.prefix + name + "."}
}

// add puts an attribute among the fields. A value that is neither simple nor says itself how it is to be logged is
// replaced by its type: the actor library logs whole messages, bodies included.
func add(fields logrus.Fields, prefix string, attr slog.Attr) {
	value := attr.Value.Resolve()
	name := prefix + attr.Key
	switch value.Kind() {
	case slog.KindGroup:
		if attr.Key != "" {
			prefix = name + "."
		}
		for _, inner := range value.Group() {
			add(fields, prefix, inner)
		}
	case slog.KindString:
		most := maxValue
		if attr.Key == "stack" {
			most = maxStack
		}
		fields[name] = Clean(value.String(), most)
	case slog.KindBool, slog.KindInt64, slog.KindUint64, slog.KindFloat64:
		fields[name] = value.Any()
	case slog.KindDuration:
		fields[name] = value.Duration().String()
	case slog.KindTime:
		fields[name] = value.Time().UTC().Format(time.RFC3339Nano)
	default:
		fields[name] = opaque(value.Any())
	}
}

func opaque(value any) string {
	if err, isError := value.(error); isError {
		return Clean(err.Error(), maxValue)
	}
	return fmt.Sprintf("%T", value)
}

func levelOf(level slog.Level) logrus.Level {
	switch {
	case level < slog.LevelInfo:
		return logrus.DebugLevel
	case level < slog.LevelWarn:
		return logrus.InfoLevel
	case level < slog.LevelError:
		return logrus.WarnLevel
	default:
		return logrus.ErrorLevel
	}
}
