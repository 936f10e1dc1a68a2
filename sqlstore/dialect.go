package sqlstore

import (
	"errors"
	"regexp"
	"strings"
)

// Dialect is the SQL that a database speaks.
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

var (
	tableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,47}$`)
	parameter = regexp.MustCompile(`\?(\d+)`)
)

// writer writes statements in one dialect, with the names of one store's tables.
type writer struct {
	dialect Dialect
	words   *strings.Replacer
}

// writer returns the writer for a table.
func (d Dialect) writer(table string) (*writer, error) {
	if !tableName.MatchString(table) {
		return nil, errors.New("that is no name for a table (see WithTable)")
	}
	// {now} is the database's clock, in Unix milliseconds: those of the machines
	// that share it may differ. {then} is the same, but for all rows of a statement.
	switch d {
	case Postgres:
		return &writer{d, strings.NewReplacer("{table}", table, "{bytes}", "BYTEA", "{by id}", "",
			"{now}", "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
			"{then}", "CAST(EXTRACT(EPOCH FROM transaction_timestamp()) * 1000 AS BIGINT)",
			"{for share}", "FOR SHARE", "{skip locked}", "FOR UPDATE SKIP LOCKED", "{in old}", "= ANY (ARRAY(SELECT id FROM old))")}, nil
	case SQLite:
		now := "CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER)"
		return &writer{d, strings.NewReplacer("{table}", table, "{bytes}", "BLOB", "{by id}", "WITHOUT ROWID",
			"{now}", now, "{then}", now, "{for share}", "", "{skip locked}", "", "{in old}", "IN (SELECT id FROM old)")}, nil
	}
	return nil, errors.New("the dialect is neither Postgres nor SQLite")
}

// write returns a statement. Its parameters are ?1, ?2 and so on.
func (w *writer) write(text string) string {
	text = w.words.Replace(text)
	if w.dialect == Postgres {
		text = parameter.ReplaceAllString(text, "$$$1")
	}
	return text
}

// schema is what makes the tables of a store.
type schema struct {
	probe  []string // fail unless the tables are there
	create []string
}

func (w *writer) schema(probe, create []string) schema {
	s := schema{probe: make([]string, len(probe)), create: make([]string, len(create))}
	for i, text := range probe {
		s.probe[i] = w.write(text)
	}
	for i, text := range create {
		s.create[i] = w.write(text)
	}
	return s
}

// tokenStatements are those of a token store.
type tokenStatements struct {
	load, version, insert, update, remove, due, accounts, reseal string
}

func (w *writer) tokens() tokenStatements {
	return tokenStatements{
		load:     w.write(`SELECT version, record FROM "{table}" WHERE id = ?1`),
		version:  w.write(`SELECT version FROM "{table}" WHERE id = ?1`),
		insert:   w.write(`INSERT INTO "{table}" (id, account, version, due_at, record) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) DO NOTHING`),
		update:   w.write(`UPDATE "{table}" SET version = ?3, due_at = ?4, record = ?5 WHERE id = ?1 AND version = ?2`),
		remove:   w.write(`DELETE FROM "{table}" WHERE id = ?1`),
		due:      w.write(`SELECT id, account FROM "{table}" WHERE id > ?1 AND due_at < ?3 ORDER BY id LIMIT ?2`),
		accounts: w.write(`SELECT id, account FROM "{table}" WHERE id > ?1 ORDER BY id LIMIT ?2`),
		reseal:   w.write(`UPDATE "{table}" SET record = ?3 WHERE id = ?1 AND version = ?2`),
	}
}

// leaseStatements are those of the locks.
type leaseStatements struct {
	ask, look, keep, giveBack, prune string
}

func (w *writer) leases() leaseStatements {
	return leaseStatements{
		ask:      w.write(askLease),
		look:     w.write(`SELECT COUNT(*) FROM "{table}_locks" WHERE id = ?1 AND expires > {now}`),
		keep:     w.write(`UPDATE "{table}_locks" SET expires = {now} + ?3 WHERE id = ?1 AND holder = ?2`),
		giveBack: w.write(`DELETE FROM "{table}_locks" WHERE id = ?1 AND holder = ?2`),
		prune:    w.write(`DELETE FROM "{table}_locks" WHERE expires <= {now} - ?1`),
	}
}

const (
	probeTokens = `SELECT id, account, version, due_at, record FROM "{table}" WHERE 1 = 0` //nolint:gosec // it has no credentials
	probeLocks  = `SELECT id, holder, expires FROM "{table}_locks" WHERE 1 = 0`
)

const (
	createTokens = `CREATE TABLE IF NOT EXISTS "{table}" (
	id      {bytes} NOT NULL PRIMARY KEY, -- SHA-256 of the account's name
	account {bytes} NOT NULL,             -- its name
	version TEXT NOT NULL,
	due_at  BIGINT,                       -- Unix microseconds; NULL: never
	record  {bytes} NOT NULL              -- the token, as package sealed writes it
) {by id}`

	createDue = `CREATE INDEX IF NOT EXISTS "{table}_due" ON "{table}" (due_at, id)`

	createLocks = `CREATE TABLE IF NOT EXISTS "{table}_locks" (
	id      {bytes} NOT NULL PRIMARY KEY, -- SHA-256 of the lock's name
	holder  TEXT NOT NULL,                -- another one for each time it is held
	expires BIGINT NOT NULL               -- Unix milliseconds, by the database's clock
) {by id}`

	// The holder that asks again, because it did not get the answer, is answered.
	askLease = `INSERT INTO "{table}_locks" (id, holder, expires) VALUES (?1, ?2, {now} + ?3)
ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, expires = excluded.expires
WHERE "{table}_locks".expires <= {now} OR "{table}_locks".holder = excluded.holder`
)
