package daemontest_test

import (
	"os"
	"testing"

	"github.com/hooktroupe/hooktroupe/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
