package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/internal/tampered"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
	"github.com/rangefleet/rangefleet/pkg/metarange"
	"github.com/rangefleet/rangefleet/pkg/namespace"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// victim is a repository in which a stored file is tampered with. Its namespace is the
// directory of namespaceBucket that has its name.
type victim struct {
	world *world
	name  string
	store objectstore.Store // namespaceBucket, read directly
}

// tamper changes a stored range, and then a metarange, and adjusts its checksums. A listing and
// an import that read the file must fail and name it, while the rest of the run goes on. After
// the file is restored, imports succeed.
func tamper(ctx context.Context, w *world, f fault) error {
	rnd := rand.New(rand.NewPCG(f.detail, 2))
	store, err := w.s3.open(ctx, namespaceBucket)
	if err != nil {
		return err
	}
	v := victim{world: w, name: fmt.Sprintf("victim-%016x", f.detail), store: store}
	if err := v.create(ctx); err != nil {
		return err
	}
	if err := v.imports(ctx, job{bucket: fmt.Sprintf("hive-3000-%d", w.plan.seed), dest: "x/"}, ""); err != nil {
		return err
	}
	for _, kind := range []table.Kind{table.Ranges, table.Metaranges} {
		file, err := v.pick(ctx, rnd, kind)
		if err != nil {
			return err
		}
		if err := v.spoil(ctx, rnd, file); err != nil {
			return err
		}
	}
	return nil
}

// spoil changes a file, checks that its readers fail, and restores the file.
func (v victim) spoil(ctx context.Context, rnd *rand.Rand, file storedFile) error {
	parts := tampered.TakeApart(file.whole)
	spoiled := parts.Mutated(rnd)
	for table.Verify(ctx, file.id, spoiled) == nil {
		spoiled = parts.Mutated(rnd)
	}
	v.world.note("%s of %s is tampered with", file.id, v.name)
	v.world.s3.put(http.MethodPut, namespaceBucket, file.key, string(spoiled))
	// The keys follow the first key of the file, so that the import reads a range.
	inside := job{bucket: fmt.Sprintf("uuid-500-%d", v.world.plan.seed), dest: file.first + "!/"}
	v.isUnlisted(ctx, file.id)
	err := v.imports(ctx, inside, file.id)
	v.world.s3.put(http.MethodPut, namespaceBucket, file.key, string(file.whole))
	if err != nil {
		return err
	}
	return v.imports(ctx, inside, "")
}

// create creates the repository.
func (v victim) create(ctx context.Context) error {
	return users{v.world}.ask(ctx, func(ctx context.Context, c *client.Client) error {
		if _, err := c.Repository(ctx, v.name); err == nil {
			return nil // an earlier try, whose answer was lost, created it
		}
		_, err := c.CreateRepository(ctx, api.RepositoryCreation{Name: v.name, StorageNamespace: "s3://" + namespaceBucket + "/" + v.name})
		return err
	})
}

// imports imports to the repository. The import must be completed or, if id is not empty, must
// fail because of the file with that ID.
func (v victim) imports(ctx context.Context, j job, id string) error {
	var started string
	var status api.ImportStatusResp
	err := users{v.world}.ask(ctx, func(ctx context.Context, c *client.Client) (err error) {
		started, err = c.StartImport(ctx, v.name, branch, request("import of "+j.bucket, j))
		return err
	})
	for err == nil && !status.Completed && status.Error.Message == "" {
		if !pause(ctx, 200*time.Millisecond) {
			return fmt.Errorf("import %s of %s has not ended: phase %s %s", started, j.bucket, status.Phase, status.Problem)
		}
		err = users{v.world}.ask(ctx, func(ctx context.Context, c *client.Client) (err error) {
			status, err = c.ImportStatus(ctx, v.name, branch, started)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("import %s: %w", j.bucket, err)
	}
	failed := status.Error.Message
	switch {
	case id == "" && !status.Completed:
		v.world.violate("import %s of %s, which reads only intact files, failed: %q", started, j.bucket, failed)
	case id != "" && (status.Completed || !strings.Contains(failed, id) || !strings.Contains(failed, table.ErrCorrupt.Error())):
		v.world.violate("import %s of %s, which reads the tampered file %s: completed %t, error %q", started, j.bucket, id, status.Completed, failed)
	}
	return nil
}

// isUnlisted checks that a listing of the repository fails because of the file with the ID.
func (v victim) isUnlisted(ctx context.Context, id string) {
	var failed *client.Error
	err := users{v.world}.ask(ctx, func(ctx context.Context, c *client.Client) error {
		for _, err := range c.Objects(ctx, v.name, branch, client.Page{}) {
			if errors.As(err, &failed) && strings.Contains(failed.Message, id) {
				return nil
			}
			if err != nil {
				return err
			}
		}
		failed = nil
		return nil
	})
	if err != nil || failed == nil {
		v.world.violate("a listing of a tree with the tampered file %s ended with error %v", id, err)
	}
}

// storedFile is a file of the tree of the branch's head.
type storedFile struct {
	key, id string
	whole   []byte
	first   string // its first key
}

// pick returns the metarange of the branch's head, or one of its ranges.
func (v victim) pick(ctx context.Context, rnd *rand.Rand, kind table.Kind) (storedFile, error) {
	var id string
	err := users{v.world}.ask(ctx, func(ctx context.Context, c *client.Client) error {
		for commit, err := range c.Log(ctx, v.name, branch, client.Page{}) {
			id = commit.MetaRangeID
			return err
		}
		return nil
	})
	if err != nil {
		return storedFile{}, fmt.Errorf("find the tree of %s: %w", v.name, err)
	}
	files := namespace.New(v.store, objectstore.URI{Scheme: objectstore.SchemeS3, Bucket: namespaceBucket, Key: v.name})
	ranges, err := metarange.Read(ctx, files, id)
	if err != nil {
		return storedFile{}, err
	}
	first := ranges[0].MaxKey
	if kind == table.Ranges {
		r := ranges[rnd.IntN(len(ranges))]
		id, first = r.ID, r.MinKey
	}
	whole, err := table.Load(ctx, id, func(ctx context.Context) ([]byte, error) { return files.Get(ctx, id) })
	if err != nil {
		return storedFile{}, fmt.Errorf("read %s: %w", id, err)
	}
	return storedFile{key: v.name + "/_lakefs/" + id, id: id, whole: whole, first: first}, nil
}
