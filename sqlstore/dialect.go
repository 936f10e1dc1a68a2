package sqlstore

import (
	"errors"
	"regexp"
	"strings"
)

// Dialect is the SQL dialect of a database.
type Dialect int

// The dialects.
const (
	Postgres Dialect = iota + 1 // PostgreSQL 9.5 or later
	SQLite                      // SQLite 3.24 or later
)

func (d Dialect) String() string {
	switch d {
	case Postgres:
		return "Postgres"
	case SQLite:
		return "SQLite"
	}
	return "unknown"
}

// statements are the store's, in one dialect and with its tables' names.
type statements struct {
	probe  []string // fail unless the tables exist
	create []string

	load, insert, update, remove, due string
	ask, look, keep, giveBack         string // of a lease
}

var (
	tableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,47}$`)
	parameter = regexp.MustCompile(`\?(\d)`)
)

// statements returns the store's statements.
func (d Dialect) statements(table string) (statements, error) {
	if !tableName.MatchString(table) {
		return statements{}, errors.New("that is no name for a table (see WithTable)")
	}
	var words *strings.Replacer
	switch d {
	case Postgres:
		words = strings.NewReplacer("{table}", table, "{bytes}", "BYTEA", "{by id}", "",
			"{now}", "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)")
	case SQLite:
		words = strings.NewReplacer("{table}", table, "{bytes}", "BLOB", "{by id}", "WITHOUT ROWID",
			"{now}", "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)")
	default:
		return statements{}, errors.New("the dialect is neither Postgres nor SQLite")
	}
	in := func(text string) string {
		text = words.Replace(text)
		if d == Postgres {
			text = parameter.ReplaceAllString(text, "$$$1")
		}
		return text
	}
	return statements{
		probe: []string{
			in(`SELECT id, account, version, due_at, record FROM "{table}" WHERE 1 = 0`),
			in(`SELECT id, holder, expires FROM "{table}_locks" WHERE 1 = 0`),
		},
		create: []string{
			in(createTokens), in(createIndex), in(createLocks),
		},
		load:     in(`SELECT version, record FROM "{table}" WHERE id = ?1`),
		insert:   in(`INSERT INTO "{table}" (id, account, version, due_at, record) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO NOTHING`),
		update:   in(`UPDATE "{table}" SET version = ?3, due_at = ?4, record = ?5 WHERE id = ?1 AND version = ?2`),
		remove:   in(`DELETE FROM "{table}" WHERE id = ?1`),
		due:      in(`SELECT id, account FROM "{table}" WHERE id > ?1 AND due_at < ?2 ORDER BY id LIMIT ?3`),
		ask:      in(askLease),
		look:     in(`SELECT COUNT(*) FROM "{table}_locks" WHERE id = ?1 AND expires > {now}`),
		keep:     in(`UPDATE "{table}_locks" SET expires = {now} + ?3 WHERE id = ?1 AND holder = ?2`),
		giveBack: in(`DELETE FROM "{table}_locks" WHERE id = ?1 AND holder = ?2`),
	}, nil
}

const (
	createTokens = `CREATE TABLE IF NOT EXISTS "{table}" (
	id      {bytes} NOT NULL PRIMARY KEY, -- SHA-256 of the account's name
	account {bytes} NOT NULL,             -- its name
	version TEXT NOT NULL,
	due_at  BIGINT,                       -- Unix microseconds; NULL: never
	record  {bytes} NOT NULL              -- the token, as package sealed writes it
) {by id}`

	createIndex = `CREATE INDEX IF NOT EXISTS "{table}_due" ON "{table}" (due_at, id)`

	createLocks = `CREATE TABLE IF NOT EXISTS "{table}_locks" (
	id      {bytes} NOT NULL PRIMARY KEY, -- as above
	holder  TEXT NOT NULL,                -- another one for each time it is held
	expires BIGINT NOT NULL               -- Unix milliseconds, by the database's clock
) {by id}`

	// The clock is the database's: those of the machines that share it may differ.
	askLease = `INSERT INTO "{table}_locks" (id, holder, expires) VALUES (?1, ?2, {now} + ?3)
ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, expires = excluded.expires
WHERE "{table}_locks".expires <= {now} OR "{table}_locks".holder = excluded.holder`
)
