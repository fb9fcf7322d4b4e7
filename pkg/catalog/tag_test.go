package catalog

import (
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/kv/kvtest"
)

func TestTags(t *testing.T) {
	onEach(t, func(t *testing.T, c *Catalog) {
		ctx := t.Context()
		r := create(t, c, "repo")
		one := commitOn(t, c, "main", "one")
		two := commitOn(t, c, "main", "two")
		for name, ref := range map[string]string{"v1.0": "main~1", "é~$": "main", "v1.0-rc,1": one.ID, strings.Repeat("v", maxTagName): "main"} {
			want := two.ID
			if ref != "main" {
				want = one.ID
			}
			if got, err := c.Tags().Create(ctx, "repo", name, ref); err != nil || got != (Tag{name, want}) {
				t.Errorf("CreateTag %q = %+v, %v, want %s", name, got, err, want)
			}
			if got, err := c.Tags().Get(ctx, "repo", name); err != nil || got != (Tag{name, want}) {
				t.Errorf("Tag %q = %+v, %v, want %s", name, got, err, want)
			}
		}
		if got, err := c.Resolve(ctx, "repo", "v1.0~"); err != nil || got.ID != one.Parents[0] {
			t.Errorf("Resolve = %+v, %v, want the first commit", got, err)
		}
		_, err := c.Resolve(ctx, "repo", "v1.0@")
		wantFault(t, "@", err, fault.Invalid, "is not a branch")
		_, err = c.Tags().Create(ctx, "repo", "v1.0", "main")
		wantFault(t, "again", err, fault.Conflict, "tag already exists: not unique")
		_, err = c.Tags().Create(ctx, "repo", "main", "main")
		wantFault(t, "as a branch", err, fault.Conflict, "branch name main: conflict found")
		_, err = c.Tags().Create(ctx, "repo", one.ID, "main")
		wantFault(t, "as a commit", err, fault.Conflict, "conflict found")
		if _, err := c.Tags().Create(ctx, "repo", "old", "main"); err != nil {
			t.Fatal(err)
		}
		_, err = c.Branches().Create(ctx, "repo", "old", "main")
		wantFault(t, "a branch as a tag", err, fault.Conflict, "tag ID old: conflict found")
		spoil(t, c, tagKey(r.root(), "old"))
		_, err = c.Resolve(ctx, "repo", "old")
		wantFault(t, "spoiled", err, fault.Broken, "cannot be decoded")
		for range 2 {
			if err := c.Tags().Delete(ctx, "repo", "old"); err != nil {
				t.Fatal(err)
			}
			wantFault(t, "deleted again", c.Tags().Delete(ctx, "repo", "old"), fault.NotFound, "tag not found")
			if _, err := c.Tags().Create(ctx, "repo", "old", "main"); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestNamesOfTags(t *testing.T) {
	for _, name := range []string{"v", "1.2.3", "~", "a~b", "$", "a@", "@a", ".a", "lock", "a.lock.b", "-", "é", "a,b=c", `"`} {
		if err := checkTagName("id", name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{
		"", "@", "a.", "a.lock", "a..b", "a/b", "a@{b", "a^", "a:b", "a?", "a*", "a[", `a\`, "a b", "a\n", "\x00", "\xff", strings.Repeat("v", maxTagName+1),
	} {
		wantFault(t, name, checkTagName("id", name), fault.Invalid, "id: ")
	}
}

// TestTagsAreListedInOrder compares pages of random tags with sorted names.
func TestTagsAreListedInOrder(t *testing.T) {
	rng := seeded.Rand(t)
	c := New(&kvtest.Memory{})
	create(t, c, "repo")
	name := func() string {
		var b strings.Builder
		for range 1 + rng.IntN(3) {
			b.WriteRune([]rune("aab.~Zé\U0001F600")[rng.IntN(8)])
		}
		return b.String()
	}
	var all []string
	for range 60 {
		n := name()
		if _, err := c.Tags().Create(t.Context(), "repo", n, "main"); err == nil {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	for range 200 {
		prefix, after, amount := "", "", 1+rng.IntN(20)
		if rng.IntN(2) == 0 {
			prefix = name()[:1]
		}
		if rng.IntN(2) == 0 {
			after = name()
		}
		want := slices.DeleteFunc(slices.Clone(all), func(n string) bool { return !strings.HasPrefix(n, prefix) || n <= after })
		page, more, err := c.Tags().List(t.Context(), "repo", prefix, after, amount)
		if got := names(page, func(t Tag) string { return t.Name }); err != nil || more != (len(want) > amount) || !slices.Equal(got, want[:min(amount, len(want))]) {
			t.Errorf("Tags(%q, %q, %d) = %q, %v, %v, want the first of %q", prefix, after, amount, got, more, err, want)
		}
	}
}
