package postgres

import (
	"context"

	"github.com/dbos-go/dbos/abi"
)

// createSlot makes the system's replication slot anew: from here on the server
// keeps its log. The publications must be there before.
func (h *history) createSlot(ctx context.Context) error {
	if err := h.dropSlot(ctx); err != nil {
		return err
	}
	_, err := h.sql.query(ctx, "SELECT pg_create_logical_replication_slot($1, 'pgoutput')", h.slot)
	if stateOf(err) == stateTooManySlots {
		return abi.Errorf("postgres.history", abi.Exhausted, "replication slots", "%w", plain(err)).
			WithHint("raise the server's max_replication_slots, drop slots that nobody needs (pg_replication_slots), or use dbos_history=triggers")
	}
	return err
}

// dropSlot removes the slot, if there is one.
func (h *history) dropSlot(ctx context.Context) error {
	_, err := h.sql.query(ctx, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1", h.slot)
	return err
}

// keepSlot makes the slot anew if it is lost.
func (h *history) keepSlot(ctx context.Context) error {
	lost, err := h.slotLost(ctx)
	if err != nil || lost == "" {
		return err
	}
	h.turn.Lock()
	defer h.turn.Unlock()
	return h.transact(ctx, func(tx executor) error {
		if err := h.setupLock(ctx, tx); err != nil {
			return err
		}
		return h.renewSlot(ctx)
	})
}

// renewSlot makes the slot anew if it is gone, as after a failover to a
// standby or in a restored database, or if the server has removed the log that
// it held. History then begins anew. The caller has the lock between nodes.
func (h *history) renewSlot(ctx context.Context) error {
	lost, err := h.slotLost(ctx)
	if err != nil || lost == "" {
		return err
	}
	if err := h.transact(ctx, func(tx executor) error { return h.set(ctx, tx, "ready", "no") }); err != nil {
		return err
	}
	h.warn("history has a gap and begins anew", "reason", lost, "slot", h.slot)
	if err := h.createSlot(ctx); err != nil {
		return err
	}
	return h.begin(ctx)
}

// slotLost says why the slot is of no use any more, or "".
func (h *history) slotLost(ctx context.Context) (string, error) {
	rows, err := h.sql.query(ctx, "SELECT wal_status FROM pg_replication_slots WHERE slot_name = $1 AND database = current_database()", h.slot)
	switch {
	case err != nil:
		return "", err
	case len(rows) == 0:
		return "the server does not have the replication slot: it was dropped, or the server is a former standby or a restored copy", nil
	case rows[0][0] == "lost":
		return "the server has removed the log that was kept for readers of changes (setting max_slot_wal_keep_size)", nil
	}
	return "", nil
}
