package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// EnvPrefix begins the environment variables that set keys: HOOKTROUPE_NUM_WORKERS, HOOKTROUPE_HTTP__LISTEN.
const EnvPrefix = "HOOKTROUPE_"

// maxFileBytes bounds a configuration file.
const maxFileBytes = 4 << 20

// delimiter separates levels within koanf. It is no dot, for a header's name may hold one.
const delimiter = "\x1f"

// notKeys are environment variables with our prefix that the command line reads, or that a program run by the exec
// handler finds, and that set no key.
var notKeys = []string{
	"CONFIG", "SECRET", "SERVER", "TOKEN", "TOKEN_FILE", "TASK_ID", "ATTEMPT", "SOURCE", "EVENT", "DELIVERY_ID", "KEY",
}

// Options say where a configuration comes from.
type Options struct {
	// File is the YAML file; empty for none.
	File string
	// Environ is as os.Environ returns it.
	Environ []string
	// Flags are those of the command line, by the key that each sets; only those that were given count.
	Flags map[string]*pflag.Flag
	// Base is what the file changes; nil for Default.
	Base *Config
}

// Report is what Inspect found.
type Report struct {
	// Config is what there is to use; where there are problems, what is left without them.
	Config *Config
	// Problems make the configuration invalid, Warnings do not. Both are in the order of the file.
	Problems, Warnings Problems
	// Files were read or should have been, that of the configuration and those of its secrets: when one of them changes,
	// the configuration does.
	Files []string

	walker *walker
}

// Finding is what somebody else has found in a configuration that was loaded.
type Finding struct {
	// Path is the key: routes[2].filter.
	Path string
	// Column is where in its value, from 1; 0 where it is about no one place.
	Column  int
	Message string
	// Warning says that the configuration is valid all the same.
	Warning bool
}

// Add takes up what somebody else has found, unless it may only be what a problem brought about that is known.
func (r *Report) Add(findings ...Finding) {
	known := slices.Clone(r.Problems)
	for _, f := range findings {
		if r.walker.follows(f.Path, known) || r.walker.partOf(f.Path, known) {
			continue
		}
		at := r.walker.inside(f.Path, f.Column)
		p := Problem{File: r.walker.file, Line: at.line, Column: at.column, Path: f.Path, Message: f.Message}
		if f.Warning {
			r.Warnings = append(r.Warnings, p)
		} else {
			r.Problems = append(r.Problems, p)
		}
	}
	r.sort()
}

func (r *Report) sort() {
	slices.SortStableFunc(r.Problems, inOrder)
	slices.SortStableFunc(r.Warnings, inOrder)
}

// Err is the problems, nil where there is none.
func (r *Report) Err() error {
	if len(r.Problems) == 0 {
		return nil
	}
	return r.Problems
}

// Load reads, joins and judges. The warnings are for the log. An error is Problems, or that the file cannot be read.
func Load(o Options) (*Config, Problems, error) {
	r, err := Inspect(o)
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		return nil, r.Warnings, err
	}
	return r.Config, r.Warnings, nil
}

// Inspect reads, joins and judges, and says everything that it finds: what is wrong in one place does not keep it from
// judging the rest. An error is that the file cannot be read; the report names its files all the same.
func Inspect(o Options) (*Report, error) {
	w := newWalker(o.File)
	r := &Report{Config: o.Base, walker: w}
	if r.Config == nil {
		r.Config = Default()
	}
	if o.File != "" {
		w.files = append(w.files, o.File)
	}
	err := r.inspect(o)
	r.Problems, r.Files = w.problems, w.files
	r.sort()
	return r, err
}

func (r *Report) inspect(o Options) error {
	w, k := r.walker, koanf.New(delimiter)
	if o.File != "" {
		text, err := readFile(o.File)
		if err != nil {
			return err
		}
		var root any
		if node := w.parse(text); node != nil {
			root = w.walk(node, reflect.TypeFor[Config](), "", "")
		} else if len(w.problems) > 0 {
			return nil // nothing is known of it
		}
		if values, is := root.(map[string]any); is {
			if err := k.Load(content(values), nil); err != nil {
				return err
			}
		}
	}
	if err := loadEnvironment(k, w, o.Environ); err != nil {
		return err
	}
	for key, flag := range o.Flags {
		if flag.Changed {
			if err := k.Set(strings.ReplaceAll(key, ".", delimiter), flag.Value.String()); err != nil {
				return err
			}
		}
	}
	if err := decode(k, r.Config); err != nil {
		decodeProblems(w, err)
	}
	j := &judge{config: r.Config, walker: w, environ: o.Environ, earlier: slices.Clone(w.problems)}
	j.run()
	r.Warnings = j.warnings
	return nil
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err == nil && len(data) > maxFileBytes {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFileBytes)
	}
	return data, err
}

// content is a koanf.Provider of values already read.
type content map[string]any

// Read returns them.
func (c content) Read() (map[string]any, error) { return c, nil }

// ReadBytes is for providers that need a parser.
func (content) ReadBytes() ([]byte, error) { return nil, errors.New("there are no bytes") }

func loadEnvironment(k *koanf.Koanf, w *walker, environ []string) error {
	return k.Load(env.Provider(delimiter, env.Opt{
		Prefix:      EnvPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			name = strings.TrimPrefix(name, EnvPrefix)
			if slices.Contains(notKeys, name) || strings.HasPrefix(name, "HEADER_") {
				return "", nil
			}
			path := strings.Split(strings.ToLower(name), "__")
			if known, message := leaf(path); !known {
				w.problems = append(w.problems,
					Problem{File: "environment", Path: EnvPrefix + name, Message: message})
				return "", nil
			}
			return strings.Join(path, delimiter), value
		},
	}), nil)
}

func decode(k *koanf.Koanf, cfg *Config) error {
	return k.UnmarshalWithConf("", cfg, koanf.UnmarshalConf{
		Tag: "koanf",
		DecoderConfig: &mapstructure.DecoderConfig{
			TagName: "koanf", Result: cfg, WeaklyTypedInput: true, DecodeHook: decodeUnits,
		},
	})
}

// nameInBrackets is how the decoder writes the key of a map, but not the place in a list.
var nameInBrackets = regexp.MustCompile(`\[([^\]]*[^\]0-9][^\]]*)\]`)

// decodeProblems turns the decoder's errors, which name fields of ours, into problems.
func decodeProblems(w *walker, err error) {
	for line := range strings.SplitSeq(err.Error(), "\n") {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "*"))
		if line == "" || strings.HasSuffix(line, "error(s) decoding:") || strings.HasPrefix(line, "decoding failed") {
			continue
		}
		path, message := "value", line
		if _, rest, quoted := strings.Cut(line, "'"); quoted {
			path, rest, _ = strings.Cut(rest, "'")
			path = nameInBrackets.ReplaceAllString(path, ".$1")
			if strings.HasPrefix(line, "'") {
				message = strings.TrimSpace(rest)
			}
		}
		p := Problem{File: "environment", Path: path, Message: message}
		if at, there := w.places[path]; there {
			p = Problem{File: w.file, Line: at.line, Column: at.column, Path: path, Message: message}
		}
		w.problems = append(w.problems, p)
	}
}
