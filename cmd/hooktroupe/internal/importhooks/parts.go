package importhooks

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/hooktroupe/hooktroupe/route"
)

const (
	// programTime bounds a program, which had no bound before.
	programTime = "1h"
	// maxSecretBytes is what the file of a secret can hold.
	maxSecretBytes = 32 << 10
)

// source makes the source of what it has to check.
func (t *translation) source(d demands) (sourceEntry, error) {
	if len(d.proofs) > 1 {
		return sourceEntry{}, errors.New("a source verifies one kind of signature or token, not several")
	}
	if len(d.networks) > 1 {
		return sourceEntry{}, errors.New("a source has one list of networks, not several that must all hold the client")
	}
	s := sourceEntry{Type: "generic"}
	if len(d.networks) == 1 {
		s.Allow = d.networks[0]
	}
	if len(d.proofs) == 0 {
		s.Insecure = true
		s.Generic = &genericEntry{}
		t.warn("trigger-rule", "demands no signature: whoever reaches the source is believed")
		return s, nil
	}
	p := d.proofs[0]
	for _, secret := range p.secrets {
		if strings.Contains(secret, "{{") {
			return sourceEntry{}, errors.New("its secret is a template: import the file as it comes out of the template")
		}
		if strings.HasSuffix(secret, "\r") || len(secret) > maxSecretBytes {
			return sourceEntry{}, fmt.Errorf("its secret is longer than %d bytes, or ends in a carriage return", maxSecretBytes)
		}
	}
	s.verify(p)
	if s.Type == "generic" && p.algorithm != "" && !knownForm(p.header) {
		t.warn("trigger-rule", "the signature in %s is read as %sHEX: change generic.prefix if the sender writes it otherwise",
			p.header, s.Generic.Prefix)
	}
	if s.Type == "github" {
		t.warn("trigger-rule", "GitHub's ping is answered and does not run the command")
	}
	return s, nil
}

// knownForm says whether the header says how the signature in it is written.
func knownForm(header string) bool {
	return header == "X-Hub-Signature" || header == "X-Gogs-Signature"
}

// verify chooses the type that knows the sender, or else describes the proof.
func (s *sourceEntry) verify(p proof) {
	switch {
	case p.header == "X-Hub-Signature-256" && p.algorithm == "sha256":
		s.Type = "github"
	case p.header == "X-Gitlab-Token" && p.algorithm == "" && !hasSigningToken(p.secrets):
		s.Type = "gitlab"
	case p.header == "X-Gitea-Signature" && p.algorithm == "sha256":
		s.Type = "gitea"
	case p.algorithm == "":
		s.Generic = &genericEntry{Scheme: "token", Header: p.header}
	default:
		s.Generic = &genericEntry{Scheme: "hmac", Header: p.header, Algorithm: p.algorithm}
		if strings.HasPrefix(p.header, "X-Hub-Signature") {
			s.Generic.Prefix = p.algorithm + "="
		}
	}
	if s.Generic != nil && p.header == "X-Hub-Signature" {
		s.Generic.EventHeader, s.Generic.IDHeader = "X-GitHub-Event", "X-GitHub-Delivery"
	}
}

// hasSigningToken says whether a GitLab secret would be taken for a key rather than a token.
func hasSigningToken(secrets []string) bool {
	for _, s := range secrets {
		if strings.HasPrefix(s, "whsec_") {
			return true
		}
	}
	return false
}

var plainPath = regexp.MustCompile(`^/hooks/[A-Za-z0-9._~!$&'()*+,;=:@/-]+$`)

// aliases is the path that the hook had.
func (t *translation) aliases() []string {
	path := "/hooks/" + t.label
	if !plainPath.MatchString(path) || strings.Contains(path, "//") {
		t.warn("id", "is no plain path: the sender must use the source's own")
		return nil
	}
	return []string{path}
}

// handler makes the handler that runs the command.
func (t *translation) handler() (handlerEntry, error) {
	h := t.hook
	command := string(h.Command)
	if !filepath.IsAbs(command) && h.Dir != "" {
		command = filepath.Join(string(h.Dir), command)
	}
	e := handlerEntry{Type: "exec", Timeout: programTime, Command: []string{command}, Dir: string(h.Dir)}
	for i, a := range h.Arguments {
		key := "pass-arguments-to-command[" + strconv.Itoa(i) + "]"
		expression, err := h.input(a)
		if err != nil {
			t.warn(key, "is passed empty: %v", err)
			expression = `""`
		}
		if a.Source == "string" && len(e.Arguments) == 0 && !strings.Contains(string(a.Name), "\x00") {
			e.Command = append(e.Command, string(a.Name))
			continue
		}
		e.Arguments = append(e.Arguments, expression)
	}
	if strings.Contains(command, "\x00") {
		return e, errors.New("it holds a NUL")
	}
	t.variables(&e)
	for _, a := range h.Files {
		t.warn("pass-file-to-command", "no file is made of %s %q: the whole body is on standard input", a.Source, a.Name)
	}
	return e, nil
}

// variables makes those of the program.
func (t *translation) variables(e *handlerEntry) {
	for i, a := range t.hook.Environment {
		key := "pass-environment-to-command[" + strconv.Itoa(i) + "]"
		name := string(a.EnvName)
		if name == "" {
			name = "HOOK_" + string(a.Name)
		}
		expression, err := t.hook.input(a)
		switch {
		case strings.ContainsAny(name, "=\x00") || strings.HasPrefix(name, "HOOKTROUPE_"):
			t.warn(key, "%q is no name that a variable can have", name)
		case err != nil:
			t.warn(key, "%s is not set: %v", name, err)
		default:
			if e.Variables == nil {
				e.Variables = make(map[string]string)
			}
			e.Variables[name] = expression
		}
	}
}

// input is the expression of a value for the program.
func (h *Hook) input(a argument) (string, error) {
	expression, err := h.expression(a)
	if err != nil {
		return "", err
	}
	_, err = route.Compile(expression)
	return expression, err
}

func (h *Hook) expression(a argument) (string, error) {
	switch {
	case a.Source == "string":
		return strconv.Quote(string(a.Name)), nil
	case a.Source == "request" && strings.EqualFold(string(a.Name), "method"):
		return `"POST"`, nil
	}
	ref, err := h.refer(a)
	if err != nil {
		return "", err
	}
	return ref.argument(), nil
}

// answers names the keys that say what the sender is told: here it is told before the program runs.
func (t *translation) answers() {
	h := t.hook
	for _, key := range h.unknown {
		t.warn(key, "no such key is known")
	}
	for _, k := range []struct {
		key, why string
		given    bool
	}{
		{"response-message", "the answer is the task's ID", h.ResponseMessage != ""},
		{"response-headers", "the answer has none of its own", len(h.ResponseHeaders) > 0},
		{"success-http-response-code", "the answer is 202, as soon as the delivery is durable", h.SuccessCode != 0 && h.SuccessCode != 202},
		{"include-command-output-in-response", "the answer comes first; the output is kept with the task", h.OutputInAnswer},
		{"include-command-output-in-response-on-error", "the answer comes first; the error is kept with the task", h.ErrorsInAnswer},
		{"trigger-rule-mismatch-http-response-code", "what no route wants is answered with 200, and what is not authentic with 401",
			h.MismatchCode != 0},
		{"incoming-payload-content-type", "a body is what its Content-Type says, or JSON",
			h.ContentType != "" && !strings.HasPrefix(string(h.ContentType), "application/json")},
		{"http-methods", "deliveries come by POST only", len(h.Methods) > 1},
	} {
		if k.given {
			t.warn(k.key, "%s", k.why)
		}
	}
}
