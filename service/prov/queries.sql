-- The statements of package prov.

-- name: text_insert
INSERT INTO prov_text (id, text) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING
