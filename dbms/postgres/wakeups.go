package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dbos-go/dbos/dbms"
)

// wakeups carries notifications between nodes. Watchers of this process are
// signalled right after a commit. The topics then go to the other nodes, if
// there are any, by pg_notify in a statement of its own: inside the
// transaction it would make all commits of the database wait for one another.
// While one such statement is under way the next topics gather.
type wakeups struct {
	db      *DB
	channel string
	self    string // this handle; a process may have several

	mu     sync.Mutex
	topics map[string]struct{} // to be sent
	greet  string              // "here", "hello" or "bye", to be sent
	peers  map[string]time.Time
	kick   chan struct{}

	cancel    context.CancelFunc
	done      sync.WaitGroup
	listening chan struct{} // closed once somebody listens
	first     sync.Once
}

// A message is what nodes send one another.
type message struct {
	Node   string   `json:"n"`
	Greet  string   `json:"g,omitempty"`
	Topics []string `json:"t,omitempty"`
}

const (
	// peerTimeout is when a node is forgotten of which nothing is heard.
	peerTimeout = 3*maintainEvery + time.Second
	// settleTime is how long others may take to know a new node.
	settleTime = 1500 * time.Millisecond
	// maxMessage is the longest payload of pg_notify, less what JSON adds.
	maxMessage = 6000
	// pollEvery is how often watchers look by themselves on a node that
	// nobody can wake, because a pooler hides the server.
	pollEvery = time.Second
	// listenPatience is how long Open waits for the first connection.
	listenPatience = 2 * time.Second
	// relisten is the pause before a lost connection is made again.
	relisten = 200 * time.Millisecond
)

func startWakeups(db *DB) *wakeups {
	w := &wakeups{
		db: db, channel: "dbos_" + db.settings.schema, self: fmt.Sprintf("%016x", rand.Uint64()),
		topics: map[string]struct{}{}, peers: map[string]time.Time{}, kick: make(chan struct{}, 1), listening: make(chan struct{}),
	}
	ctx, cancel := context.WithCancel(db.background)
	w.cancel = cancel
	if db.settings.direct == nil {
		close(w.listening)
		w.done.Go(func() { w.poll(ctx) })
	} else {
		w.done.Go(func() { w.listen(ctx) })
	}
	w.done.Go(func() { w.send(ctx) })
	// Who watches from now on misses nothing of what others send.
	select {
	case <-w.listening:
	case <-time.After(listenPatience):
	}
	return w
}

// stop says goodbye and ends. What is to be sent is sent before.
func (w *wakeups) stop() {
	w.say("bye")
	w.cancel()
	w.done.Wait()
}

// poll wakes everybody now and then.
func (w *wakeups) poll(ctx context.Context) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.db.topics.Notify([]string{dbms.AllTopics})
		}
	}
}

// listen receives what other nodes send.
func (w *wakeups) listen(ctx context.Context) {
	for ctx.Err() == nil {
		_ = w.session(ctx) // whatever ended it, the next one wakes everybody
		select {
		case <-ctx.Done():
		case <-time.After(relisten):
		}
	}
}

// session listens on one connection until it breaks.
func (w *wakeups) session(ctx context.Context) error {
	config := w.db.settings.direct.Copy()
	config.RuntimeParams["application_name"] = w.db.appName()
	config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) { w.receive(n.Payload) }
	c, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() {
		bye, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		_ = c.Close(bye)
	}()
	if _, err := c.Exec(ctx, `LISTEN "`+w.channel+`"`).ReadAll(); err != nil {
		return err
	}
	// What was sent while nobody listened, or before the others knew this
	// node, is lost: all look once now, and once when they know.
	again := true
	w.first.Do(func() { again = false; close(w.listening) })
	if again {
		w.db.topics.Notify([]string{dbms.AllTopics})
	}
	w.say("hello")
	known := time.AfterFunc(settleTime, func() {
		if w.has() {
			w.db.topics.Notify([]string{dbms.AllTopics})
		}
	})
	defer known.Stop()
	for {
		if err := c.WaitForNotification(ctx); err != nil {
			return err
		}
	}
}

// receive takes a message.
func (w *wakeups) receive(payload string) {
	var m message
	if err := json.Unmarshal([]byte(payload), &m); err != nil || m.Node == w.self {
		return
	}
	w.mu.Lock()
	if m.Greet == "bye" {
		delete(w.peers, m.Node)
	} else {
		w.peers[m.Node] = time.Now()
	}
	w.mu.Unlock()
	if m.Greet == "hello" {
		w.say("here")
	}
	w.db.topics.Notify(m.Topics)
}

// here tells the others that this node is there.
func (w *wakeups) here() { w.say("here") }

func (w *wakeups) say(greet string) {
	w.mu.Lock()
	w.greet = greet
	w.mu.Unlock()
	w.wake()
}

func (w *wakeups) wake() {
	select {
	case w.kick <- struct{}{}:
	default:
	}
}

// signal wakes the topics' watchers, here and elsewhere.
func (db *DB) signal(topics []string) {
	if len(topics) == 0 {
		return
	}
	db.topics.Notify(topics)
	db.wakeups.add(topics)
}

// Signal implements dbms.Gatherer.
func (db *DB) Signal(topics ...string) { db.signal(topics) }

// Watch implements dbms.DB.
func (db *DB) Watch(topic string) dbms.Watcher { return db.topics.Watch(topic) }

// add puts topics on their way to the other nodes, if there are any.
func (w *wakeups) add(topics []string) {
	w.mu.Lock()
	if w.alone() {
		w.mu.Unlock()
		return
	}
	for _, topic := range topics {
		w.topics[topic] = struct{}{}
	}
	w.mu.Unlock()
	w.wake()
}

// has reports whether another node is known.
func (w *wakeups) has() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.alone()
}

// alone reports whether no other node is known, and forgets those of which
// nothing is heard. A node that nobody can reach is never alone: it does not
// hear of others.
func (w *wakeups) alone() bool {
	for node, seen := range w.peers {
		if time.Since(seen) > peerTimeout {
			delete(w.peers, node)
		}
	}
	return len(w.peers) == 0 && w.db.settings.direct != nil
}

// send sends what has gathered, one message after the other.
func (w *wakeups) send(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			w.deliver() // the goodbye, and what is left
			return
		case <-w.kick:
		}
		w.deliver()
	}
}

// deliver sends everything there is.
func (w *wakeups) deliver() {
	w.mu.Lock()
	topics, greet := w.topics, w.greet
	w.topics, w.greet = map[string]struct{}{}, ""
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), maintainEvery)
	defer cancel()
	for _, m := range messages(w.self, greet, topics) {
		payload, err := json.Marshal(m)
		if err != nil {
			continue // strings always have a JSON form
		}
		// If it fails the server is away, and everybody looks again when
		// their connections are back.
		_ = plainSQL{w.db}.exec(ctx, "SELECT pg_notify($1, $2)", w.channel, string(payload))
	}
}

// messages divides topics into messages that pg_notify takes.
func messages(node, greet string, topics map[string]struct{}) []message {
	var list []message
	m, size := message{Node: node, Greet: greet}, 0
	for topic := range topics {
		n := 6*len(topic) + 3 // at most, when every byte is escaped
		if n > maxMessage {
			topic, n = dbms.AllTopics, 4
		}
		if size+n > maxMessage {
			list = append(list, m)
			m, size = message{Node: node}, 0
		}
		m.Topics = append(m.Topics, topic)
		size += n
	}
	if m.Greet != "" || len(m.Topics) > 0 {
		list = append(list, m)
	}
	return list
}
