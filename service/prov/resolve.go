package prov

import (
	"context"
)

// Resolve finds the moment that a text names (ParseMoment). Errors of kind
// abi.NotFound (no such run, after now) and abi.Trimmed (before the retention, or
// in a gap) name the oldest and the newest moment there is.
func (s *Service) Resolve(ctx context.Context, text string) (Moment, error) {
	return Moment{}, notYet("prov.moment")
}

// Bounds returns the oldest and the newest moment that can be asked for.
func (s *Service) Bounds(ctx context.Context) (oldest, newest Moment, err error) {
	return Moment{}, Moment{}, notYet("prov.bounds")
}
