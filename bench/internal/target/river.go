//go:build linux

package target

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// BuildRiver compiles the receiver that keeps deliveries in River into a folder and returns the program's path. It is to be run
// within the module, of which that program is none: it has a module of its own in bench/river.
func BuildRiver(ctx context.Context, folder string) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/hooktroupe/hooktroupe").Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w", err)
	}
	path := filepath.Join(folder, "river")
	source := filepath.Join(strings.TrimSpace(string(root)), "bench", "river")
	build := exec.CommandContext(ctx, "go", "build", "-C", source, "-trimpath", "-ldflags", "-s -w", "-o", path, ".") //nolint:gosec // the path is ours
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, output)
	}
	return path, nil
}

// River says how its receiver is run.
type River struct {
	// Unique says that no delivery is to be a job twice.
	Unique bool
	// Connections bounds those to the database.
	Connections int
}

// StartRiver runs the program on an empty database and returns once it listens.
func StartRiver(ctx context.Context, program, url string, r River) (*Process, error) {
	address, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	args := []string{"-unique=" + strconv.FormatBool(r.Unique), "-connections", strconv.Itoa(r.Connections), address}
	return start(ctx, address, []string{storeVariable + "=" + url, secretVariable + "=" + Secret}, program, args...)
}

// secretVariable is where River's receiver finds the secret.
const secretVariable = "BENCH_SECRET"
