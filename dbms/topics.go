package dbms

import (
	"slices"
	"sync"
)

// AllTopics, passed to Tx.Notify, wakes every watcher of every topic. It is
// for whoever finds a dead process: nobody knows which notifications that one
// still owed.
const AllTopics = "*"

// Topics knows who watches which topic in this process. Engines implement
// DB.Watch with it. The zero value is ready; its methods may be called from
// any goroutine.
type Topics struct {
	mu     sync.RWMutex
	topics map[string]map[*watcher]struct{}
}

type watcher struct {
	all   *Topics
	topic string
	c     chan struct{}
}

// Watch adds a watcher.
func (ts *Topics) Watch(topic string) Watcher {
	w := &watcher{all: ts, topic: topic, c: make(chan struct{}, 1)}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.topics == nil {
		ts.topics = map[string]map[*watcher]struct{}{}
	}
	if ts.topics[topic] == nil {
		ts.topics[topic] = map[*watcher]struct{}{}
	}
	ts.topics[topic][w] = struct{}{}
	return w
}

// Notify signals the watchers of the topics. A watcher that has a signal
// waiting gets no second one.
func (ts *Topics) Notify(topics []string) {
	if len(topics) == 0 {
		return
	}
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	if slices.Contains(topics, AllTopics) {
		for _, watchers := range ts.topics {
			signal(watchers)
		}
		return
	}
	for _, topic := range topics {
		signal(ts.topics[topic])
	}
}

func signal(watchers map[*watcher]struct{}) {
	for w := range watchers {
		select {
		case w.c <- struct{}{}:
		default:
		}
	}
}

func (w *watcher) C() <-chan struct{} { return w.c }

func (w *watcher) Close() {
	w.all.mu.Lock()
	defer w.all.mu.Unlock()
	delete(w.all.topics[w.topic], w)
	if len(w.all.topics[w.topic]) == 0 {
		delete(w.all.topics, w.topic)
	}
}
