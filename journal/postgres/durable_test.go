package postgres_test

import (
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/internal/pgtest"
	"github.com/hooktroupe/hooktroupe/journal/postgres"
)

// A database may be set to confirm what is not on stable storage yet: a store does not take that over.
func TestWhatIsConfirmedIsDurable(t *testing.T) {
	url := pgtest.Database(t)
	s := open(t, postgres.Config{URL: url})
	var name string
	if err := s.Pool().QueryRow(t.Context(), "SELECT current_database()").Scan(&name); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pool().Exec(t.Context(), "ALTER DATABASE "+name+" SET synchronous_commit = off"); err != nil {
		t.Fatal(err)
	}
	again := reopen(t, postgres.Config{URL: url})
	var setting string
	if err := again.Pool().QueryRow(t.Context(), "SHOW synchronous_commit").Scan(&setting); err != nil || setting != "on" {
		t.Errorf("synchronous_commit is %q, %v", setting, err)
	}
	separator := "?"
	if strings.Contains(url, "?") {
		separator = "&"
	}
	if _, err := postgres.Open(t.Context(), postgres.Config{URL: url + separator + "synchronous_commit=off"}); err == nil {
		t.Error("a URL that gives durability up was taken")
	}
}
