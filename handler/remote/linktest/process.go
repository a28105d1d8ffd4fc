package linktest

import (
	"os"
	"os/exec"
	"testing"
)

// aloneVariable tells a test that it is in a process of its own.
const aloneVariable = "HOOKTROUPE_TEST_ALONE"

// Alone runs the test in a process of its own, and says whether it has done so: the caller then returns. There may be only
// one link in a process, for each sets gRPC's logger when it opens, which the gRPC of the one before may yet be using.
func Alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv(aloneVariable) == t.Name() {
		return false
	}
	command := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1", "-test.v") // #nosec G204 G702 -- itself
	command.Env = append(os.Environ(), aloneVariable+"="+t.Name())
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	return true
}
