package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/internal/rangetest"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
	"github.com/rangefleet/rangefleet/pkg/entry"
	"github.com/rangefleet/rangefleet/pkg/imports"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/partition"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// breaks are the settings that decide where ranges end.
var breaks = partition.Breaks{MaxSize: maxSize, Raggedness: raggedness}

// checker checks the state at the end of a run.
type checker struct{ world *world }

// check makes all checks. It records violations, and returns an error if it cannot check.
func (k checker) check(ctx context.Context, outcomes []outcome) error {
	for _, p := range k.world.procs {
		p.mu.Lock()
		k.world.faults = append(k.world.faults, p.faults...)
		p.mu.Unlock()
		if line := p.panicked(); line != "" {
			k.world.violate("%s: %s", p.name, line)
		}
	}
	for _, o := range outcomes {
		k.checkStatus(o)
	}
	if err := k.checkQueue(ctx); err != nil {
		return err
	}
	return k.checkTrees(ctx, outcomes)
}

// checkStatus checks the status of an import.
func (k checker) checkStatus(o outcome) {
	switch {
	case o.id == "": // recorded already
	case o.job.poison:
		if o.status.Completed || o.status.Error.Message == "" {
			k.world.violate("the import of keys that cannot be listed has the status %+v", o.status)
		}
	case !o.status.Completed:
		k.world.violate("import %s of %s: phase %s, error %q", o.id, o.job.bucket, o.status.Phase, o.status.Error.Message)
	case o.job.keys > 0 && o.status.IngestedObjects != o.job.keys:
		k.world.violate("the status of import %s of %s counts %d objects, want %d", o.id, o.job.bucket, o.status.IngestedObjects, o.job.keys)
	}
}

// checkQueue waits until nothing is queued and coordinators hold only their own leases.
func (k checker) checkQueue(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, k.world.plan.form.patience)
	defer cancel()
	for {
		var left []string
		var failed error
		alive := 0
		for _, s := range []struct{ name, filter string }{{"WORK", ">"}, {"KV_leases", ">"}, {"COVERS", ">"}} {
			subjects, err := subjects(ctx, k.world.js, s.name, s.filter)
			if err != nil {
				failed = err
			}
			for subject, n := range subjects {
				if strings.HasPrefix(subject, "$KV.leases.coordinator.") {
					alive++ // the lease of a coordinator itself
					continue
				}
				left = append(left, fmt.Sprintf("%s: %d of %s", s.name, n, subject))
			}
		}
		if alive > coordinators {
			left = append(left, fmt.Sprintf("KV_leases: leases of %d coordinators", alive))
		}
		if failed == nil && len(left) == 0 {
			k.world.note("nothing is queued")
			k.world.settled = time.Since(k.world.calm)
			return nil
		}
		if !pause(ctx, 3*tenth) {
			if failed != nil {
				return failed
			}
			slices.Sort(left)
			k.world.violate("%d subjects are left: %s", len(left), strings.Join(left[:min(len(left), 5)], ", "))
			return nil
		}
	}
}

// checkTrees checks the branch's log, each of its trees, and every file.
func (k checker) checkTrees(ctx context.Context, outcomes []outcome) error {
	store, err := k.world.s3.open(ctx, namespaceBucket)
	if err != nil {
		return err
	}
	files := namespace.New(store, objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: namespaceBucket, Key: "repo"})
	whole, err := k.checkFiles(ctx, store)
	if err != nil {
		return err
	}
	log, err := k.log(ctx)
	if err != nil {
		return err
	}
	records, err := records(ctx, k.world.js)
	if err != nil {
		return err
	}
	k.world.note("%d files are intact", len(whole))
	k.checkLog(log, records, outcomes)
	var tree []entry.Entry
	for _, c := range log[1:] { // the first commit is that of a new repository, and empty
		if !k.checkRanges(ctx, files, whole, c) {
			continue
		}
		if tree, err = k.after(ctx, files, tree, c, records); err != nil {
			k.world.violate("commit %q: %v", c.Message, err)
			continue
		}
		want, err := treeOf(ctx, tree)
		if err != nil {
			return err
		}
		if c.MetaRangeID != want {
			k.world.violate("commit %q has metarange %s, want %s, which %d entries give", c.Message, c.MetaRangeID, want, len(tree))
		}
	}
	return nil
}

// checkFiles reads every file of the namespace, records a violation for each damaged one, and
// returns the IDs of the intact ones.
func (k checker) checkFiles(ctx context.Context, store objectstore.Store) (map[string]bool, error) {
	whole := make(map[string]bool)
	for page, err := range store.List(ctx, "", "", objectstore.ListOptions{}) {
		if err != nil {
			return nil, fmt.Errorf("list the namespace: %w", err)
		}
		var keys []string
		for _, o := range page {
			keys = append(keys, string(o.Key))
		}
		for _, key := range keys {
			data, err := store.Get(ctx, key, 256<<20)
			if err != nil {
				return nil, fmt.Errorf("read the namespace: %w", err)
			}
			id := key[strings.LastIndexByte(key, '/')+1:]
			if err := isFile(id, data); err != nil {
				k.world.violate("file %s: %v", key, err)
				continue
			}
			whole[id] = true
		}
	}
	return whole, nil
}

// isFile returns nil if a file's content matches its ID: its records, written again, give the
// same bytes and the same ID.
func isFile(id string, data []byte) error {
	r, err := table.NewReader(data)
	if err != nil {
		return err
	}
	again := table.NewWriter(r.Kind())
	defer again.Abort()
	for rec, err := range r.From(context.Background(), "") {
		if err != nil {
			return err
		}
		if err := again.Add(rec.Key, rec.Value); err != nil {
			return err
		}
	}
	t := again.Close()
	if t.Meta.ID != id || !bytes.Equal(t.Data, data) {
		return fmt.Errorf("its content is that of file %s", t.Meta.ID)
	}
	return nil
}

// log returns the branch's commits, oldest first.
func (k checker) log(ctx context.Context) (log []api.Commit, err error) {
	err = users(k).ask(ctx, func(ctx context.Context, c *client.Client) error {
		log = nil
		for commit, err := range c.Log(ctx, repository, branch, client.Page{}) {
			if err != nil {
				return err
			}
			log = append(log, commit)
		}
		return nil
	})
	slices.Reverse(log)
	return log, err
}

// checkLog compares the log with the records of the imports: each completed import has exactly
// one commit, and there is no other commit.
func (k checker) checkLog(log []api.Commit, records []imports.Record, outcomes []outcome) {
	commits := make(map[string]int)
	for _, c := range log {
		commits[c.ID]++
	}
	made := 0
	for _, r := range records {
		if r.State != imports.Completed {
			if !r.State.Ended() {
				k.world.violate("import %s is %s", r.Job.ImportID, r.State)
			}
			continue
		}
		made++
		if n := commits[r.Attempt.CommitID]; n != 1 {
			k.world.violate("import %s is completed, but its commit %s is %d times on the branch", r.Job.ImportID, r.Attempt.CommitID, n)
		}
	}
	if len(log) != made+1 {
		k.world.violate("%d imports are completed, but the branch has %d commits besides its first", made, len(log)-1)
	}
	// There may be one more import than were requested, if the answer to a request was lost
	// and the import ended before the request was repeated.
	if made < len(outcomes)-k.poisoned() {
		k.world.violate("%d imports were requested, %d are completed", len(outcomes), made)
	}
	if made != len(outcomes)-k.poisoned()+1 { // 1 is the base import
		k.world.note("%d imports were requested, and %d are completed", len(outcomes)+1, made)
	}
}

func (k checker) poisoned() (n int) {
	for _, j := range k.world.plan.imports {
		if j.poison {
			n++
		}
	}
	return n
}

// checkRanges reports whether every range of a commit's tree is an intact file that holds what
// the metarange says.
func (k checker) checkRanges(ctx context.Context, files *namespace.Files, whole map[string]bool, c api.Commit) bool {
	ranges, err := metarange.Read(ctx, files, c.MetaRangeID)
	if err != nil {
		k.world.violate("commit %q: %v", c.Message, err)
		return false
	}
	if err := metarange.Check(ranges); err != nil {
		k.world.violate("commit %q: %v", c.Message, err)
		return false
	}
	missing := 0
	for _, r := range ranges {
		if !whole[r.ID] {
			missing++
		}
	}
	if missing > 0 {
		k.world.violate("commit %q has %d ranges, and %d of them are not in the namespace", c.Message, len(ranges), missing)
	}
	return missing == 0
}

// after returns the entries that a commit must have, given the entries of its parent.
func (k checker) after(ctx context.Context, files *namespace.Files, tree []entry.Entry, c api.Commit, records []imports.Record) ([]entry.Entry, error) {
	i := slices.IndexFunc(records, func(r imports.Record) bool { return r.Attempt != nil && r.Attempt.CommitID == c.ID })
	if i < 0 {
		return tree, fmt.Errorf("no import made this commit")
	}
	for _, path := range records[i].Job.Paths {
		j := job{bucket: strings.Trim(strings.TrimPrefix(path.URI, "s3://"), "/"), dest: path.Destination}
		tree = slices.DeleteFunc(slices.Clone(tree), func(e entry.Entry) bool { return strings.HasPrefix(e.Key, j.dest) })
		var entries []entry.Entry
		var err error
		if j.bucket == liveBucket {
			entries, err = k.live(ctx, files, c, j)
		} else {
			entries, err = j.entries()
		}
		if err != nil {
			return tree, err
		}
		tree = append(tree, entries...)
	}
	slices.SortFunc(tree, func(a, b entry.Entry) int { return strings.Compare(a.Key, b.Key) })
	return tree, nil
}

// live returns the entries of an import of the live bucket. They must include all stable
// objects; the import may have any of the others.
func (k checker) live(ctx context.Context, files *namespace.Files, c api.Commit, j job) ([]entry.Entry, error) {
	tree, err := metarange.Open(ctx, metarange.Windows(files), "", c.MetaRangeID)
	if err != nil {
		return nil, err
	}
	var all []entry.Entry
	stable := 0
	for e, err := range tree.Entries(ctx, "") {
		if err != nil {
			return nil, err
		}
		key, ok := strings.CutPrefix(e.Key, j.dest)
		if !ok {
			continue
		}
		all = append(all, e)
		if volatile(key) {
			continue
		}
		if stable == stableKeys || key != stableKey(stable) {
			return nil, fmt.Errorf("the import of the live bucket has key %q where it must have stable key %d", key, stable)
		}
		if e.Size != int64(len(key)) || e.ModTime.UnixMilli() != liveSince || e.Address != "s3://"+j.bucket+"/"+key {
			return nil, fmt.Errorf("the import of the live bucket has %+v, which differs from the stable object", e)
		}
		stable++
	}
	if stable != stableKeys {
		return nil, fmt.Errorf("the import of the live bucket has %d stable keys, want %d", stable, stableKeys)
	}
	return all, nil
}

// treeOf returns the ID of the metarange that a single writer makes of the entries.
func treeOf(ctx context.Context, tree []entry.Entry) (string, error) {
	ranges, err := rangetest.Ranges(tree, breaks)
	if err != nil {
		return "", fmt.Errorf("write the entries again: %w", err)
	}
	return metarange.Write(ctx, discardFiles{}, ranges)
}

// discardFiles discards files: only their IDs matter.
type discardFiles struct{}

func (discardFiles) Get(context.Context, string) ([]byte, error)                { return nil, objectstore.ErrNotFound }
func (discardFiles) Put(context.Context, string, []byte, objectstore.Sum) error { return nil }
