package inspect

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/source"
)

// Question asks for the next part of a comparison of a tree with a source.
type Question struct {
	Repository, Metarange string
	Source, Destination   string // as those of an import of a common prefix
	From                  Position
	Names                 int         // of differences, at most
	Over                  func() bool // reports whether the part is to end soon
}

// Position is where a comparison goes on. A comparison begins with Since alone.
type Position struct {
	Since time.Time `json:"since"`           // objects that were written since are told apart
	Token string    `json:"token,omitempty"` // of the next page of the source
	After string    `json:"after,omitempty"` // the last key that was compared
	Ended bool      `json:"ended,omitempty"` // the source has no further page
	Walks int       `json:"walks,omitempty"` // of the source that left keys out, and were begun again
}

// Kind says how a key differs.
type Kind string

// The kinds of differences.
const (
	Missing Kind = "missing" // the source has the key, and the tree does not
	Extra   Kind = "extra"   // the tree has the key, and the source does not
	Changed Kind = "changed" // the entry is not that of the object
)

// Difference is a key that differs.
type Difference struct {
	Key     string // in the tree
	Kind    Kind
	Fields  []string  // of a changed one: address, size, etag, mtime
	ModTime time.Time // of the object at the source; zero for an extra one
}

// Comparison is a part of a comparison.
type Comparison struct {
	Equal                   int64
	Missing, Extra, Changed int64        // without those that are Later
	Later                   int64        // keys that differ, and whose object was written since Position.Since
	Differences             []Difference // the first ones that are not Later
	Next                    *Position    // where the next part begins; nil if there is none
}

// Compare compares the entries under a destination with a walk of a source by continuation
// tokens, in key order, until q.Over. It holds one page and a few MiB of files. The error is a
// fault.NotFound if there is no such repository or metarange, and another fault if the source
// may not or cannot be listed.
func (i *Inspector) Compare(ctx context.Context, q Question) (Comparison, error) {
	uri, err := i.cfg.CheckSource(ctx, q.Source)
	if err != nil {
		return Comparison{}, err
	}
	mapping, err := source.NewMapping(imports.Path{Type: imports.CommonPrefix, URI: q.Source, Destination: q.Destination})
	if err != nil {
		return Comparison{}, fault.BadField("destination", "%v", err)
	}
	files, err := i.files(ctx, q.Repository, q.Metarange)
	if err != nil {
		return Comparison{}, err
	}
	tree, err := metarange.Open(ctx, metarange.Windows(files), "", q.Metarange)
	if err != nil {
		return Comparison{}, err
	}
	w, err := i.walk(ctx, uri)
	if err != nil {
		return Comparison{}, sourceFault(ctx, err)
	}
	entries, stop := iter.Pull2(tree.Under(ctx, mapping.Root(), q.From.After))
	defer stop()
	c := comparer{mapping: mapping, entries: entries, stat: w.store.Stat, q: q, at: q.From}
	if err := c.run(ctx, w); err != nil {
		return Comparison{}, sourceFault(ctx, err)
	}
	return c.found, nil
}

// treeError is an error of the tree, and not of the source.
type treeError struct{ error }

func (e treeError) Unwrap() error { return e.error }

// sourceFault turns an error of the source into a fault.
func sourceFault(ctx context.Context, err error) error {
	if _, ok := errors.AsType[treeError](err); ok {
		return err
	}
	if objectstore.Permanent(err) || ctx.Err() != nil {
		return fault.BadField("source", "%v", err)
	}
	return fault.Unavailable("source", "the store does not answer, try again: %v", err)
}

// comparer merges a walk of a source with the entries of a tree.
type comparer struct {
	mapping source.Mapping
	entries func() (entry.Entry, error, bool)
	stat    func(ctx context.Context, key string) (objectstore.Object, error)
	q       Question

	at     Position
	next   *entry.Entry // of the tree; nil if it was taken
	looked bool         // a key that is extra was looked for at the source, since the page began
	done   bool         // the tree was compared to its end
	found  Comparison
}

// What ends a step, besides errors.
var (
	errOver    = errors.New("the part is over")
	errLeftOut = errors.New("the walk left out a key")
)

// maxWalks bounds how often a source is walked because its walks left out keys. A store that
// forgets what its tokens stand for, as MinIO does, does so now and then.
const maxWalks = 3

// run compares until the end, or until the question says so.
func (c *comparer) run(ctx context.Context, w walk) error {
	for {
		err := c.step(ctx, w)
		switch {
		case errors.Is(err, errLeftOut) && c.at.Walks+1 < maxWalks:
			// The keys that were compared are passed over.
			c.at.Token, c.at.Ended, c.at.Walks = "", false, c.at.Walks+1
		case errors.Is(err, errOver):
			next := c.at
			c.found.Next = &next
			return nil
		case err != nil || c.done:
			return err
		}
	}
}

// step compares the next page, or what the tree has behind the last one. It is errOver if
// the part is to end, and errLeftOut if the walk has to begin again.
func (c *comparer) step(ctx context.Context, w walk) error {
	c.looked = false
	if c.at.Ended {
		err := c.before(ctx, "")
		c.done = err == nil
		return err
	}
	next, err := w.page(ctx, c.at.Token, func(objects []objectstore.Listed) error { return c.page(ctx, objects) })
	if err != nil {
		return err
	}
	if next != "" && next == c.at.Token {
		return fmt.Errorf("the token of the page after key %q leads to the same page: %w", c.at.After, objectstore.ErrBadListing)
	}
	c.at.Token, c.at.Ended = next, next == ""
	if c.q.Over() {
		return errOver
	}
	return nil
}

// page compares a page of the source. Keys that were compared before are passed over: some
// stores repeat them, and a part may have ended within the page.
func (c *comparer) page(ctx context.Context, objects []objectstore.Listed) error {
	for _, o := range objects {
		key := c.mapping.Destination(string(o.Key))
		if key <= c.at.After { // or it is empty, as a marker's may be
			continue
		}
		if err := c.before(ctx, key); err != nil {
			return err
		}
		e, err := c.peek()
		if err != nil {
			return err
		}
		c.compare(key, o, e)
		c.at.After = key
	}
	return nil
}

// compare compares an object with the next entry, which is not before it.
func (c *comparer) compare(key string, o objectstore.Listed, e *entry.Entry) {
	d := Difference{Key: key, Kind: Missing, ModTime: time.Unix(0, o.ModTime).UTC()}
	count := &c.found.Missing
	if e != nil && e.Key == key {
		c.next = nil
		d.Kind, d.Fields, count = Changed, c.fields(o, *e), &c.found.Changed
		if len(d.Fields) == 0 {
			c.found.Equal++
			return
		}
	}
	if !d.ModTime.Before(c.at.Since) {
		c.found.Later++
		return
	}
	*count++
	c.name(d)
}

// fields returns in what an entry is not that of an object.
func (c *comparer) fields(o objectstore.Listed, e entry.Entry) (fields []string) {
	for _, f := range []struct {
		name string
		same bool
	}{
		{"address", e.Address == c.mapping.Address(string(o.Key))},
		{"size", e.Size == o.Size},
		{"etag", e.ETag == string(o.ETag)},
		{"mtime", e.ModTime.UnixNano() == o.ModTime},
	} {
		if !f.same {
			fields = append(fields, f.name)
		}
	}
	return fields
}

func (c *comparer) name(d Difference) {
	if len(c.found.Differences) < c.q.Names {
		c.found.Differences = append(c.found.Differences, d)
	}
}

// peek returns the next entry of the tree, nil if there is none.
func (c *comparer) peek() (*entry.Entry, error) {
	if c.next != nil {
		return c.next, nil
	}
	e, err, ok := c.entries()
	if err != nil {
		return nil, treeError{err}
	}
	if ok {
		c.next = &e
	}
	return c.next, nil
}

// before counts the entries before a key as extra; "" is the end.
func (c *comparer) before(ctx context.Context, key string) error {
	for {
		e, err := c.peek()
		if err != nil || e == nil || key != "" && e.Key >= key {
			return err
		}
		later, err := c.look(ctx, e.Key)
		if err != nil {
			return err
		}
		if later {
			c.found.Later++
		} else {
			c.found.Extra++
			c.name(Difference{Key: e.Key, Kind: Extra})
		}
		c.at.After, c.next = e.Key, nil
		if c.found.Extra%looksOver == 0 && c.q.Over() {
			return errOver
		}
	}
}

// looksOver is how many keys are extra before it is asked again whether the part is over.
const looksOver = 1000

// look asks the source itself for the first extra key of a page: a store that ends a walk too
// early would make all keys that follow look extra. It reports whether the object is there and
// was written since the comparison began.
func (c *comparer) look(ctx context.Context, key string) (later bool, err error) {
	from, ok := c.mapping.Source(key)
	if c.looked || !ok {
		return false, nil
	}
	c.looked = true
	o, err := c.stat(ctx, from)
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	case !o.ModTime.Before(c.at.Since):
		return true, nil
	}
	return false, fmt.Errorf("%w, %s, which is there: %w", errLeftOut, c.mapping.Address(from), objectstore.ErrBadListing)
}
