package prov

import (
	"context"

	"github.com/dbos-go/dbos/warehouse"
)

// walkWindow is how many differences are handed over at once.
const walkWindow = 512

// walk calls fn for each row that differs. The column store reads ahead while
// fn writes.
func (j *job) walk(ctx context.Context, fn func(d warehouse.Difference) error) error {
	if j.given != nil { // nobody need be asked: see Machine.Forward
		for _, d := range j.given {
			if err := fn(d); err != nil {
				return err
			}
		}
		return nil
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	windows := make(chan []warehouse.Difference, 16)
	failed := make(chan error, 1)
	go func() {
		defer close(windows)
		failed <- j.read(ctx, windows)
	}()
	var err error
	for list := range windows {
		for i := range list {
			if err == nil {
				if err = fn(list[i]); err != nil {
					stop()
				}
			}
		}
	}
	if e := <-failed; err == nil {
		err = e
	}
	return err
}

// read sends the differences in windows.
func (j *job) read(ctx context.Context, windows chan<- []warehouse.Difference) error {
	var list []warehouse.Difference
	send := func() error {
		select {
		case windows <- list:
			list = make([]warehouse.Difference, 0, walkWindow)
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	err := j.r.past.Diff(ctx, j.plan.Name, j.r.plan.From.LSN, j.r.to.LSN, func(d warehouse.Difference) error {
		if list = append(list, d); len(list) < walkWindow {
			return nil
		}
		return send()
	})
	if err == nil && len(list) > 0 {
		err = send()
	}
	return err
}
