package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
	"github.com/pinterest-go/pinterest/sqlstore"
)

// The job is run by two processes, one after the other. There is one pin. With
// PostgreSQL they may be on different machines:
//
//	db, err := sql.Open("pgx", "postgres://...")
//	ledger, err := sqlstore.OpenLedger(ctx, db, sqlstore.Postgres)
func ExampleLedger() {
	ctx := context.Background()
	srv := pinteresttest.NewServer()
	defer srv.Close()
	alice := srv.AddAccount("alice")
	board := srv.AddBoard(alice, "Kitchens")
	dir, err := os.MkdirTemp("", "ledger")
	if err != nil {
		log.Panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	process := func() (pinID string) {
		file := filepath.Join(dir, "ledger.sqlite")
		db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)")
		if err != nil {
			log.Panic(err)
		}
		defer db.Close()
		ledger, err := sqlstore.OpenLedger(ctx, db, sqlstore.SQLite)
		if err != nil {
			log.Panic(err)
		}
		client, err := pinterest.New(
			pinterest.WithAccessToken(alice.AccessToken), pinterest.WithBaseURL(srv.URL), pinterest.WithLedger(ledger),
		)
		if err != nil {
			log.Panic(err)
		}
		pin, err := client.Pins.CreateOnce(ctx, "job-8841", pinterest.PinCreate{
			BoardID: board.ID, Title: "Oak kitchen", MediaSource: pinterest.ImageURL("https://shop.example/oak.jpg"),
		})
		if err != nil {
			log.Panic(err)
		}
		// Once a day, say: forget the jobs of more than 90 days ago.
		if _, err := ledger.Prune(ctx, time.Now().AddDate(0, 0, -90)); err != nil {
			log.Panic(err)
		}
		return pin.ID
	}
	first, second := process(), process()
	fmt.Println("the same pin:", first == second)
	fmt.Println("requests:", srv.Count("pins/create"), "pins:", len(srv.Pins(board.ID)))

	// Output:
	// the same pin: true
	// requests: 1 pins: 1
}
