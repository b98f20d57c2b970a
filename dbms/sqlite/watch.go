package sqlite

import (
	"sync"

	"github.com/dbos-go/dbos/dbms"
)

// watchers knows who waits for which topic.
type watchers struct {
	mu     sync.RWMutex
	topics map[string]map[*watcher]struct{}
}

type watcher struct {
	all   *watchers
	topic string
	c     chan struct{}
}

func (ws *watchers) watch(topic string) dbms.Watcher {
	w := &watcher{all: ws, topic: topic, c: make(chan struct{}, 1)}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.topics[topic] == nil {
		ws.topics[topic] = map[*watcher]struct{}{}
	}
	ws.topics[topic][w] = struct{}{}
	return w
}

// notify signals the watchers of the topics. A watcher that has a signal
// waiting gets no second one.
func (ws *watchers) notify(topics []string) {
	if len(topics) == 0 {
		return
	}
	ws.mu.RLock()
	defer ws.mu.RUnlock()
	for _, topic := range topics {
		for w := range ws.topics[topic] {
			select {
			case w.c <- struct{}{}:
			default:
			}
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
