package certs

import (
	"container/list"
	"crypto/tls"
	"sync"
	"time"
)

// maxLeaves bounds the leaves in memory; each takes about 2 KB. A stranger can
// make the server sign leaves by asking for names below a base domain, and
// only drives out others.
const maxLeaves = 4096

// cache keeps the leaves used last. One that many ask for is made once.
type cache struct {
	max  int
	make func(leafRequest, time.Time) (*tls.Certificate, error)

	mu      sync.Mutex
	entries map[string]*list.Element // of *entry
	order   *list.List               // most recently used first
}

// entry is a leaf, or one that is being made.
type entry struct {
	key     string
	renewAt time.Time
	once    sync.Once
	cert    *tls.Certificate
	err     error
}

func newCache(limit int, mk func(leafRequest, time.Time) (*tls.Certificate, error)) *cache {
	return &cache{max: limit, make: mk, entries: make(map[string]*list.Element), order: list.New()}
}

// get returns the leaf under a key, made from r if there is none or it is old.
func (c *cache) get(key string, r leafRequest) (*tls.Certificate, error) {
	now := time.Now()
	e := c.entry(key, now)
	e.once.Do(func() {
		if e.cert, e.err = c.make(r, now); e.err != nil {
			c.drop(e)
		}
	})
	return e.cert, e.err
}

func (c *cache) entry(key string, now time.Time) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el := c.entries[key]; el != nil {
		if e := el.Value.(*entry); now.Before(e.renewAt) {
			c.order.MoveToFront(el)
			return e
		}
		c.order.Remove(el)
	}
	e := &entry{key: key, renewAt: now.Add(leafRenewal)}
	c.entries[key] = c.order.PushFront(e)
	if c.order.Len() > c.max {
		last := c.order.Back()
		c.order.Remove(last)
		delete(c.entries, last.Value.(*entry).key)
	}
	return e
}

// drop forgets an entry that could not be made, so that the next one tries
// again.
func (c *cache) drop(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el := c.entries[e.key]; el != nil && el.Value == e {
		c.order.Remove(el)
		delete(c.entries, e.key)
	}
}
