package main

import (
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/dbos-go/dbos/bench/internal/bare"
	"github.com/dbos-go/dbos/dbms"
)

// A workload is one procedure, written twice: for the engine's Tx and for
// SQLite's own statements. Both do the same to the same tables.
type workload struct {
	name   string
	schema string
	empty  bool // it runs no statement
	// engine runs the n-th procedure of a caller.
	engine func(tx dbms.Tx, caller, n int64) error
	// prepare compiles the statements and returns the procedure over them.
	prepare func(db *bare.DB) (func(caller, n int64) error, error)
}

const (
	itemSchema = `CREATE TABLE item (id INTEGER PRIMARY KEY, owner INTEGER NOT NULL, n INTEGER NOT NULL, note TEXT NOT NULL);`
	itemInsert = `INSERT INTO item (owner, n, note) VALUES ($1, $2, $3)`

	messageSchema = `CREATE TABLE message (
	receiver INTEGER NOT NULL, seq INTEGER NOT NULL, sender TEXT NOT NULL, topic TEXT NOT NULL,
	payload BLOB NOT NULL, sent_at INTEGER NOT NULL, PRIMARY KEY (receiver, seq)
) WITHOUT ROWID;`
	messageInsert = `INSERT INTO message (receiver, seq, sender, topic, payload, sent_at) VALUES ($1, $2, $3, $4, $5, $6)`
	messageTake   = `DELETE FROM message WHERE receiver = $1 AND seq = (SELECT min(seq) FROM message WHERE receiver = $1)
RETURNING sender, topic, payload, sent_at`

	note   = "a note of thirty-two characters."
	sender = "run/0198c3a2/17"
	topic  = "orders"
)

var (
	itemInsertQuery    = dbms.SQL(itemInsert)
	messageInsertQuery = dbms.SQL(messageInsert)
	messageTakeQuery   = dbms.SQL(messageTake)

	payload = make([]byte, 100)
)

// workloads are the procedures of DESIGN.md, section 6.
func workloads() []workload {
	return []workload{
		{
			name:   "empty",
			schema: itemSchema,
			empty:  true,
			engine: func(dbms.Tx, int64, int64) error { return nil },
			prepare: func(*bare.DB) (func(caller, n int64) error, error) {
				return func(int64, int64) error { return nil }, nil
			},
		},
		{name: "insert", schema: itemSchema, engine: engineInsert, prepare: prepareInsert},
		{name: "message", schema: messageSchema, engine: engineMessage, prepare: prepareMessage},
	}
}

func engineInsert(tx dbms.Tx, caller, n int64) error {
	_, err := tx.Exec(itemInsertQuery, caller, n, note)
	return err
}

func prepareInsert(db *bare.DB) (func(caller, n int64) error, error) {
	insert, err := db.Prepare(itemInsert)
	if err != nil {
		return nil, err
	}
	return func(caller, n int64) error {
		insert.BindInt64(1, caller)
		insert.BindInt64(2, n)
		insert.BindText(3, note)
		return bare.Run(insert)
	}, nil
}

func engineMessage(tx dbms.Tx, caller, n int64) error {
	if _, err := tx.Exec(messageInsertQuery, caller, n, sender, topic, payload, tx.Now()); err != nil {
		return err
	}
	rows, err := tx.Query(messageTakeQuery, caller)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var from, about string
		var body []byte
		var sentAt int64
		if err := rows.Scan(&from, &about, &body, &sentAt); err != nil {
			return err
		}
	}
	return rows.Err()
}

func prepareMessage(db *bare.DB) (func(caller, n int64) error, error) {
	insert, err := db.Prepare(messageInsert)
	if err != nil {
		return nil, err
	}
	take, err := db.Prepare(messageTake)
	if err != nil {
		return nil, err
	}
	return func(caller, n int64) error {
		insert.BindInt64(1, caller)
		insert.BindInt64(2, n)
		insert.BindText(3, sender)
		insert.BindText(4, topic)
		insert.BindBytes(5, payload)
		insert.BindInt64(6, n)
		if err := bare.Run(insert); err != nil {
			return err
		}
		take.BindInt64(1, caller)
		return readMessage(take)
	}, nil
}

// readMessage copies out what the statement returns.
func readMessage(take *sqlite.Stmt) error {
	row, err := take.Step()
	if err != nil {
		return err
	}
	if !row {
		return fmt.Errorf("the message just inserted is not there")
	}
	body := make([]byte, take.ColumnLen(2))
	take.ColumnBytes(2, body)
	_, _, _ = take.ColumnText(0), take.ColumnText(1), take.ColumnInt64(3)
	return bare.Run(take)
}
