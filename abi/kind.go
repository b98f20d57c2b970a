package abi

// A Kind classifies an Error. Kinds cross the wire and are written into
// journals, so the list is append-only: a number never changes its meaning.
// A Kind is itself an error, to be the target of errors.Is.
type Kind int

const (
	// Other is a failure that no other kind describes, such as an error
	// returned by application code.
	Other Kind = 0
	// Invalid is a bad argument; Resource names it. Nothing was changed.
	Invalid Kind = 1
	// NotFound says that the named resource does not exist.
	NotFound Kind = 2
	// Exists says that the resource exists already and differs.
	Exists Kind = 3
	// Conflict says that the resource's state does not allow the operation.
	Conflict Kind = 4
	// Denied says that the principal may not do this.
	Denied Kind = 5
	// Unauthenticated says that the caller did not prove who it is.
	Unauthenticated Kind = 6
	// Exhausted says that a stated limit, or the disk, is full.
	Exhausted Kind = 7
	// Canceled says that the caller, or somebody else on purpose, called the
	// operation off. Nothing was changed by it after that.
	Canceled Kind = 8
	// Timeout says that a time limit passed. Nothing was changed.
	Timeout Kind = 9
	// Unavailable says that the database or node cannot be reached now; the
	// same call may succeed later.
	Unavailable Kind = 10
	// Closed says that the database, system or stream has been closed.
	Closed Kind = 11
	// Corrupt says that stored data contradicts itself.
	Corrupt Kind = 12
	// Unsupported says that this engine or build cannot do it.
	Unsupported Kind = 13
	// Fenced says that the caller lost its lease: another process, or a
	// cancellation, took the execution over. Nothing was changed.
	Fenced Kind = 14
	// Diverged says that a replayed program did something else than its
	// journal records.
	Diverged Kind = 15
	// Owned says that another process owns the data directory.
	Owned Kind = 16
	// Trimmed says that the history asked for is older than what is kept.
	Trimmed Kind = 17
	// Panicked says that application code panicked.
	Panicked Kind = 18
	// Unknown says that the connection to the database broke during a commit,
	// and that it could not be found out in time whether it was done. Ask
	// again with the same ID, or look.
	Unknown Kind = 19
)

var kindNames = [...]string{
	Other: "other error", Invalid: "invalid argument", NotFound: "not found",
	Exists: "already exists", Conflict: "conflict", Denied: "permission denied",
	Unauthenticated: "unauthenticated", Exhausted: "limit reached",
	Canceled: "canceled", Timeout: "timed out", Unavailable: "unavailable",
	Closed: "closed", Corrupt: "corrupt data", Unsupported: "not supported",
	Fenced: "lease lost", Diverged: "replay diverged", Owned: "owned by another process",
	Trimmed: "history trimmed", Panicked: "panic",
	Unknown: "outcome unknown",
}

// Error returns the kind in words.
func (k Kind) Error() string {
	if k < 0 || int(k) >= len(kindNames) {
		return "unknown kind of error"
	}
	return kindNames[k]
}
