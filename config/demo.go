package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// DemoSecretFile is where the secret of the demo is, in the data folder.
const DemoSecretFile = "demo-secret"

// Demo returns what serve runs on when there is no configuration file: a GitHub source with a throw-away secret, and a
// handler that logs. The secret is made once, from random, and kept below dataDir, so that a command that was copied
// keeps working; only its owner can read it.
func Demo(dataDir string, random io.Reader) (*Config, error) {
	path := filepath.Join(dataDir, DemoSecretFile)
	if err := makeSecret(path, random); err != nil {
		return nil, fmt.Errorf("the demo's secret: %w", err)
	}
	cfg := Default()
	cfg.DataDir = dataDir
	cfg.Sources = map[string]Source{"github": {Type: "github", Secret: "file:" + path}}
	cfg.Handlers = map[string]Handler{"log": {Type: "log"}}
	cfg.Routes = []Route{{Name: "all", Source: "*", Event: "*", Handler: "log"}}
	return cfg, nil
}

// makeSecret writes a new secret unless there is one.
func makeSecret(path string, random io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	var secret [32]byte
	if _, err := io.ReadFull(random, secret[:]); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = file.WriteString(hex.EncodeToString(secret[:]) + "\n")
	return errors.Join(err, file.Close())
}
