//go:build cgo

package warehouse

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/dbos-go/dbos/dbms"
)

// textTable is the tracked table that keeps the texts of statements by their number.
const textTable = "prov_text"

// jsonName is a name as JSON writes it.
func jsonName(name string) string {
	b, _ := json.Marshal(strings.ToValidUTF8(name, "\uFFFD"))
	return string(b)
}

// provViews are who did what: calls, what they asked, what they looked at, and which rows
// they changed.
func provViews(c *catalog, at dbms.LSN) []string {
	text, texts := "NULL::VARCHAR", ""
	if t, d := c.find(textTable, at); t != nil && len(d.Columns) >= 2 {
		text = "v." + quote(d.Columns[1])
		texts = fmt.Sprintf(" LEFT JOIN (%s) v ON v.%s = s.text_id", t.versions(d, momentVariable), quote(d.Columns[0]))
	}
	return []string{
		// As the engines have it, so that what was written for them goes on to work.
		`CREATE VIEW main.dbos_transaction AS SELECT lsn, epoch_us(time) AS "at", procedure, principal, nullif(execution, '') AS execution,
			nullif(step, 0) AS step, node, epoch_us(start) AS started_at FROM warehouse.commit WHERE lsn <= ` + momentVariable,
		`CREATE VIEW prov.calls AS SELECT lsn, time, procedure, principal, nullif(execution, '') AS execution,
			CASE WHEN execution <> '' THEN step END AS step, node, start, snapshot
			FROM warehouse.commit WHERE lsn <= ` + momentVariable,
		`CREATE VIEW prov.statements AS SELECT s.lsn, s.n, ` + text + ` AS sql, s.args, s.rows, s.writes, s.cut,
			s.principal, s.execution, s.snapshot, s.outside, s.text_id
			FROM warehouse.statement s` + texts + ` WHERE s.lsn <= ` + momentVariable,
		`CREATE VIEW prov.reads AS SELECT lsn, "table", key, principal, execution, snapshot, outside FROM warehouse.read WHERE lsn <= ` + momentVariable,
		`CREATE VIEW prov.tables AS ` + tableList(c, at),
		`CREATE VIEW prov.changes AS ` + changesView(c, at),
	}
}

// tableList is a query of the tables that there are.
func tableList(c *catalog, at dbms.LSN) string {
	var rows []string
	for _, t := range c.tables {
		if d := t.at(at); d != nil {
			rows = append(rows, fmt.Sprintf("(%s, %d, %s)", literal(d.Name), d.LSN, literal(d.Schema)))
		}
	}
	list := "(NULL, NULL, NULL)"
	if len(rows) > 0 {
		list = strings.Join(rows, ", ")
	}
	return fmt.Sprintf(`SELECT name::VARCHAR AS name, since::BIGINT AS since, schema::VARCHAR AS schema FROM (VALUES %s) AS t(name, since, schema) WHERE name IS NOT NULL`, list)
}

// changesView is a query of every change of every table.
func changesView(c *catalog, at dbms.LSN) string {
	var parts []string
	for _, t := range c.tables {
		d := t.named(at)
		if d == nil {
			continue
		}
		key := t.keyJSON(d)
		name := literal(d.Name)
		change := "SELECT lsn + commit AS lsn, lsn AS change, " + name + ` AS "table", ` + opName("op") + " AS op, " + key + " AS key FROM %s WHERE lsn <= " + momentVariable +
			fmt.Sprintf(" AND op <> %d", opBase)
		parts = append(parts, fmt.Sprintf(change, t.live()), fmt.Sprintf(change, t.closed()),
			fmt.Sprintf("SELECT end_lsn + end_commit, end_lsn, %s, %s, %s FROM %s WHERE end_lsn <= %s AND end_op NOT IN (%d, %d)",
				name, opName("end_op"), key, t.closed(), momentVariable, opUpdate, opBase))
	}
	if len(parts) == 0 {
		return `SELECT NULL::BIGINT AS lsn, NULL::BIGINT AS change, NULL::VARCHAR AS "table", NULL::VARCHAR AS op, NULL::VARCHAR AS key LIMIT 0`
	}
	return strings.Join(parts, " UNION ALL ")
}

// keyJSON is the expression of a key: the value of a key of one column as text, else a JSON array.
func (t *table) keyJSON(d *definition) string {
	list := make([]string, len(d.KeyPhysical))
	for i, p := range d.KeyPhysical {
		list[i] = t.shown(p) + "::VARCHAR"
	}
	if len(list) == 1 {
		return list[0]
	}
	return "to_json([" + strings.Join(list, ", ") + "])::VARCHAR"
}
