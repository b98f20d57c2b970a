-- The statements of package prov.

-- name: text_insert
INSERT INTO prov_text (id, text) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING

-- name: view_insert
INSERT INTO prov_view (id, lsn, at, principal, procedure, execution, note) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (id) DO NOTHING

-- name: view_forget
-- $1 before, $2 limit. By LSN, which has an index and grows with the time.
DELETE FROM prov_view WHERE id IN (SELECT id FROM prov_view WHERE at < $1 ORDER BY lsn LIMIT $2)

-- name: warehouse_put
INSERT INTO prov_warehouse (id, node, lsn, at) VALUES ($1, $2, $3, $4)
ON CONFLICT (id) DO UPDATE SET node = excluded.node, lsn = excluded.lsn, at = excluded.at

-- name: warehouse_oldest
-- Of the warehouses that were heard of since $1.
SELECT lsn, at FROM prov_warehouse WHERE at >= $1 ORDER BY lsn LIMIT 1
