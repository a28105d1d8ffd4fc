package main

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestOperations holds the runbook against the program: each command and flag that it names is there, and each alert is told.
func TestOperations(t *testing.T) {
	text, err := os.ReadFile("../../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	root := newRoot(&terminal{out: io.Discard, err: io.Discard})
	commands := 0
	for _, line := range regexp.MustCompile("(?m)(?:^|`)(hooktroupe (?:[a-z]|--)[^`\n]*)").FindAllStringSubmatch(string(text), -1) {
		words := strings.Fields(line[1])[1:]
		command, _, err := root.Find(words)
		if err != nil || command == root {
			t.Errorf("%q: there is no such command: %v", line[1], err)
			continue
		}
		commands++
		for _, word := range words {
			name, flag := strings.CutPrefix(word, "--")
			if flag && command.Flags().Lookup(name) == nil && command.InheritedFlags().Lookup(name) == nil {
				t.Errorf("%q: %s has no flag %s", line[1], command.CommandPath(), word)
			}
		}
	}
	if commands < 15 {
		t.Errorf("%d commands were found", commands)
	}
	alerts, err := os.ReadFile("../../deploy/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, alert := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(string(alerts), -1) {
		if !strings.Contains(string(text), "| `"+alert[1]+"` |") {
			t.Errorf("%s is not told", alert[1])
		}
	}
}
