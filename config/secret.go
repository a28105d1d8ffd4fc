package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// hidden is what stands in the place of a secret.
const hidden = "***"

// maxSecretBytes bounds a secret's file.
const maxSecretBytes = 64 << 10

// Resolve follows a reference: env:NAME, file:/path (one line end at its end is cut off), or the secret itself, which is
// reported as literal. An empty secret is an error. Errors name the reference, never what it led to.
func Resolve(reference string, environ []string) (value string, literal bool, err error) {
	if name, isEnv := strings.CutPrefix(reference, "env:"); isEnv {
		for _, line := range environ {
			if v, found := strings.CutPrefix(line, name+"="); found {
				value = v
			}
		}
		if value == "" {
			return "", false, fmt.Errorf("environment variable %s is not set, or empty", name)
		}
		return value, false, nil
	}
	if path, isFile := strings.CutPrefix(reference, "file:"); isFile {
		value, err := readSecret(path)
		if err != nil {
			return "", false, err
		}
		return value, false, nil
	}
	if reference == "" {
		return "", false, errors.New("empty")
	}
	return reference, true, nil
}

func readSecret(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, maxSecretBytes+1))
	switch {
	case err != nil:
		return "", err
	case len(data) > maxSecretBytes:
		return "", fmt.Errorf("%s is larger than %d bytes", path, maxSecretBytes)
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if value == "" {
		return "", fmt.Errorf("%s is empty", path)
	}
	return value, nil
}
