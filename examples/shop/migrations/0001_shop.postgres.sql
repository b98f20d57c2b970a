-- What the shop sells. At every moment, for each item: stock + what its
-- orders hold (reserved or confirmed) = delivered.
--
-- The same as 0001_shop.sql; PostgreSQL's INTEGER would be too short for times.
CREATE TABLE item (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    price BIGINT NOT NULL CHECK (price > 0), -- in cents
    delivered BIGINT NOT NULL,
    stock BIGINT NOT NULL CHECK (stock >= 0)
);

-- One row for each order that a checkout workflow has begun to work on; the
-- workflow's run has the same ID.
CREATE TABLE orders (
    id TEXT NOT NULL PRIMARY KEY,
    item TEXT NOT NULL REFERENCES item (id),
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    customer TEXT NOT NULL,
    amount BIGINT NOT NULL, -- in cents
    state TEXT NOT NULL CHECK (state IN ('reserved', 'confirmed', 'declined', 'sold out', 'not paid')),
    charge TEXT, -- the payment service's number, of a confirmed order
    reason TEXT, -- of one that came to nothing
    placed_at BIGINT NOT NULL,
    decided_at BIGINT
);

-- Sums over all orders read this alone.
CREATE INDEX orders_by_state ON orders (state, item, quantity);

INSERT INTO item (id, name, price, delivered, stock) VALUES
    ('coffee', 'Coffee beans, 500 g', 1290, 1000, 1000),
    ('tea', 'Mountain tea', 740, 1000, 1000),
    ('honey', 'Heather honey', 960, 500, 500),
    ('bread', 'Rye bread', 450, 1000, 1000),
    ('mug', 'Stoneware mug', 1850, 250, 250),
    ('lamp', 'Reading lamp', 6900, 25, 25);
