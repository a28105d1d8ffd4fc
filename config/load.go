package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	yamlparser "github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
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

// Load reads, joins and judges. The warnings are for the log. An error is Problems, or that the file cannot be read.
func Load(o Options) (*Config, []string, error) {
	cfg, warnings, _, err := LoadWatched(o)
	return cfg, warnings, err
}

// LoadWatched is Load, and names the files that were read or should have been, that of the configuration and those of its
// secrets: when one of them changes, the configuration does. They are named after an error as well.
func LoadWatched(o Options) (cfg *Config, warnings, files []string, err error) {
	w := &walker{file: o.File, lines: make(map[string]int)}
	if o.File != "" {
		w.files = append(w.files, o.File)
	}
	cfg, warnings, err = load(o, w)
	return cfg, warnings, w.files, err
}

func load(o Options, w *walker) (*Config, []string, error) {
	cfg := o.Base
	if cfg == nil {
		cfg = Default()
	}
	k := koanf.New(delimiter)
	if o.File != "" {
		if err := loadFile(k, w, o.File); err != nil {
			return nil, nil, err
		}
	}
	if err := loadEnvironment(k, w, o.Environ); err != nil {
		return nil, nil, err
	}
	for key, flag := range o.Flags {
		if flag.Changed {
			if err := k.Set(strings.ReplaceAll(key, ".", delimiter), flag.Value.String()); err != nil {
				return nil, nil, err
			}
		}
	}
	if len(w.problems) > 0 {
		return nil, nil, w.problems
	}
	if err := decode(k, cfg); err != nil {
		return nil, nil, decodeProblems(w, err)
	}
	j := &judge{config: cfg, walker: w, environ: o.Environ}
	j.run()
	if len(w.problems) > 0 {
		return nil, j.warnings, w.problems
	}
	return cfg, j.warnings, nil
}

// loadFile reads the file twice: as values, and as nodes that know their lines.
func loadFile(k *koanf.Koanf, w *walker, path string) error {
	data, err := readFile(path)
	if err != nil {
		return err
	}
	// The values come first: what refers to itself is refused there, and the walk below would not end.
	if err := k.Load(content(data), lowerTop{yamlparser.Parser()}); err != nil {
		return Problems{{File: path, Path: "YAML", Message: strings.TrimPrefix(err.Error(), "yaml: ")}}
	}
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return err
	}
	if len(root.Content) > 0 {
		w.walk(root.Content[0], reflect.TypeFor[Config](), "")
	}
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

// content is a koanf.Provider of bytes already read.
type content []byte

// ReadBytes returns them.
func (c content) ReadBytes() ([]byte, error) { return bytes.Clone(c), nil }

// Read is for providers that need no parser.
func (content) Read() (map[string]any, error) { return nil, errors.New("a parser is needed") }

// lowerTop is a parser under which the keys at the top level, the seed's among them, may be in any letter case.
type lowerTop struct{ koanf.Parser }

// Unmarshal parses and lowers.
func (p lowerTop) Unmarshal(data []byte) (map[string]any, error) {
	parsed, err := p.Parser.Unmarshal(data)
	lowered := make(map[string]any, len(parsed))
	for key, value := range parsed {
		lowered[strings.ToLower(key)] = value
	}
	return lowered, err
}

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
func decodeProblems(w *walker, err error) error {
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
		w.problem(w.lines[path], path, message)
	}
	return w.problems
}
