//go:build linux

package ceiling

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
)

// Commits is how many small rows one connection to an empty database commits per second, each by itself: what the disk and the
// server allow whoever does one thing after the other. Meanwhile there is a table "commits".
func Commits(ctx context.Context, url string, d time.Duration) (rate float64, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if _, err := conn.Exec(ctx, "CREATE TABLE commits (n bigint NOT NULL)"); err != nil {
		return 0, err
	}
	rate, err = repeat(ctx, 1, d, func(ctx context.Context) error {
		_, err := conn.Exec(ctx, "INSERT INTO commits VALUES (1)")
		return err
	})
	if err == nil {
		_, err = conn.Exec(ctx, "DROP TABLE commits")
	}
	return rate, err
}
