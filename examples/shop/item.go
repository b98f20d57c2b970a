package main

import (
	"context"

	"github.com/dbos-go/dbos"
)

// An Item is something that the shop sells, and where its pieces are.
type Item struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Price     int64  `json:"price"`     // in cents
	Delivered int64  `json:"delivered"` // to the shop, ever
	Stock     int64  `json:"stock"`
	Reserved  int64  `json:"reserved"` // by orders being worked on
	Sold      int64  `json:"sold"`     // by confirmed orders
}

// balanced reports whether every piece is accounted for.
func (i Item) balanced() bool { return i.Stock+i.Reserved+i.Sold == i.Delivered }

func (s *Shop) items(ctx context.Context) (list []Item, err error) {
	err = s.sys.View(ctx, func(tx *dbos.Tx) error {
		list, err = items(tx)
		return err
	})
	return list, err
}

func items(tx *dbos.Tx) ([]Item, error) {
	rows, err := tx.Query(`
		SELECT id, name, price, delivered, stock,
			(SELECT coalesce(sum(quantity), 0) FROM orders WHERE state = 'reserved' AND item = item.id),
			(SELECT coalesce(sum(quantity), 0) FROM orders WHERE state = 'confirmed' AND item = item.id)
		FROM item ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Item
	for rows.Next() {
		var i Item
		if err := rows.Scan(&i.ID, &i.Name, &i.Price, &i.Delivered, &i.Stock, &i.Reserved, &i.Sold); err != nil {
			return nil, err
		}
		list = append(list, i)
	}
	return list, rows.Err()
}
