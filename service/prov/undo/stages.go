package undo

import (
	"context"

	"github.com/dbos-go/dbos/dbms"
)

// stages are the copies on which statements run: one for few repaired rows,
// and, where there are many, a wide one that keeps them. They are made when they are
// needed, which is not always.
type stages struct {
	open         func(ctx context.Context, at dbms.LSN, wide bool) (*stage, error)
	many         int // repaired rows; 0 means wideRows
	narrow, wide *stage
}

// wideRows is how many repaired rows are worth a copy of their own.
const wideRows = 300

func (s *stages) run(ctx context.Context, at dbms.LSN, instead []state, c *commit) (*effect, error) {
	wide := len(instead) > s.many && (s.many > 0 || len(instead) > wideRows)
	st := &s.narrow
	if wide {
		st = &s.wide
	}
	if *st == nil {
		var err error
		if *st, err = s.open(ctx, at, wide); err != nil {
			return nil, err
		}
		(*st).wide = wide
	}
	return (*st).run(ctx, at, instead, c)
}
