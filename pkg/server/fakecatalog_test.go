package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/fault"
)

// fakeCatalog has one repository with one branch.
type fakeCatalog struct{ Catalog }

var (
	created  = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	lakeRepo = catalog.Repository{ID: "lake", StorageNamespace: "s3://b/ns", DefaultBranch: "main", Created: created}
	mainHead = catalog.Branch{Name: "main", CommitID: "c2"}
	hidden   = catalog.Branch{Name: "hid", CommitID: "c1", Hidden: true}
	imported = catalog.Commit{
		ID: "c2", Committer: "admin", Message: "Import objects", MetarangeID: "m2", Created: created, Generation: 2,
		Parents: []string{"c1"}, Metadata: map[string]string{".lakefs.merge.strategy": "source-wins"},
	}
	first = catalog.Commit{ID: "c1", Committer: "admin", Message: "Repository created", Created: created, Generation: 1}
)

func (fakeCatalog) Repository(_ context.Context, id string) (catalog.Repository, error) {
	if id != lakeRepo.ID {
		return catalog.Repository{}, fault.Missing("repository")
	}
	return lakeRepo, nil
}

func (c fakeCatalog) EditMetadata(ctx context.Context, id string, remove []string, add map[string]string) error {
	if _, err := c.Repository(ctx, id); err != nil {
		return err
	}
	edit := fmt.Sprint(remove, add)
	if edit != "[a b] map[]" && edit != "[] map[a:b]" {
		return fault.BadField("metadata", "%s", edit)
	}
	return nil
}

func (c fakeCatalog) Branch(ctx context.Context, repository, name string) (catalog.Branch, error) {
	if _, err := c.Repository(ctx, repository); err != nil {
		return catalog.Branch{}, err
	}
	switch name {
	case mainHead.Name:
		return mainHead, nil
	case hidden.Name:
		return hidden, nil
	}
	return catalog.Branch{}, fault.Missing("branch")
}

func (fakeCatalog) CheckRepository(_ context.Context, r catalog.Repository) error {
	if r.ID == lakeRepo.ID {
		return fault.Conflicting("repository already exists")
	}
	return nil
}

func (c fakeCatalog) CreateRepository(ctx context.Context, r catalog.Repository) (catalog.Repository, error) {
	if err := c.CheckRepository(ctx, r); err != nil {
		return r, err
	}
	r.Created = created
	return r, nil
}

func (c fakeCatalog) Repositories(_ context.Context, q catalog.RepositoryQuery) ([]catalog.Repository, bool, error) {
	if lakeRepo.ID <= q.After || !strings.HasPrefix(lakeRepo.ID, q.Prefix) || !strings.Contains(lakeRepo.ID, q.Search) {
		return nil, false, nil
	}
	return []catalog.Repository{lakeRepo}, q.Amount == 1, nil
}

func (c fakeCatalog) Resolve(ctx context.Context, repository, ref string) (catalog.Commit, error) {
	_, err := c.Branch(ctx, repository, ref)
	return imported, err
}

// Log selects by the query as far as tests need it.
func (c fakeCatalog) Log(ctx context.Context, repository string, q catalog.LogQuery) (catalog.LogPage, error) {
	if _, err := c.Branch(ctx, repository, q.Ref); err != nil {
		return catalog.LogPage{}, err
	}
	log := []catalog.Commit{imported, first}
	if q.After == imported.ID || q.FirstParent {
		log = log[1:]
	}
	if q.StopAt == imported.ID || q.Since.Equal(created) || q.Enough() {
		log = log[:1]
	}
	if q.Keep != nil {
		log = slices.DeleteFunc(log, func(c catalog.Commit) bool {
			keep, _ := q.Keep(ctx, c)
			return !keep
		})
	}
	if q.Amount < len(log) {
		return catalog.LogPage{Commits: log[:q.Amount], Next: log[q.Amount-1].ID}, nil
	}
	return catalog.LogPage{Commits: log}, nil
}

// fakeBranches has one branch, and a hidden one.
type fakeBranches struct{}

func (fakeBranches) Create(ctx context.Context, repository, name, source string) (catalog.Branch, error) {
	b, err := fakeCatalog{}.Branch(ctx, repository, source)
	b.Name = name
	return b, err
}

func (fakeBranches) CreateHidden(ctx context.Context, repository, _, source string) (catalog.Branch, error) {
	_, err := fakeCatalog{}.Branch(ctx, repository, source)
	return hidden, err
}

func (fakeBranches) ListAll(ctx context.Context, repository, _, _ string, _ int) ([]catalog.Branch, bool, error) {
	_, err := fakeCatalog{}.Repository(ctx, repository)
	return []catalog.Branch{hidden, mainHead}, false, err
}

func (fakeBranches) List(ctx context.Context, repository, _, _ string, _ int) ([]catalog.Branch, bool, error) {
	_, err := fakeCatalog{}.Repository(ctx, repository)
	return []catalog.Branch{mainHead}, false, err
}

// fakeTags has one tag.
type fakeTags struct{}

func (fakeTags) Get(ctx context.Context, repository, name string) (catalog.Tag, error) {
	_, err := fakeCatalog{}.Repository(ctx, repository)
	if err == nil && name != "v1.0" {
		err = fault.Missing("tag")
	}
	return catalog.Tag{Name: name, CommitID: "c1"}, err
}

func (s fakeTags) List(ctx context.Context, repository, prefix, _ string, _ int) ([]catalog.Tag, bool, error) {
	tag, err := s.Get(ctx, repository, "v1.0")
	return []catalog.Tag{tag}, prefix == "more", err
}

func (fakeTags) Create(ctx context.Context, repository, name, ref string) (catalog.Tag, error) {
	_, err := fakeCatalog{}.Branch(ctx, repository, ref)
	if err == nil && name == "v1.0" {
		err = fault.Conflicting("tag already exists: not unique")
	}
	return catalog.Tag{Name: name, CommitID: "c2"}, err
}

func (s fakeTags) Delete(ctx context.Context, repository, name string) error {
	_, err := s.Get(ctx, repository, name)
	return err
}
