package lakefsserver_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
)

func TestServerKeepsWhatItHasOverARestart(t *testing.T) {
	server := lakefstest.Start(t, lakefstest.Config{Blockstore: ceph})
	repo := newRepository(t, server, "repo")
	log := repo.Log(t, "main")
	server.Restart(t)
	if again := repo.Log(t, "main"); len(again) != 2 || again[0].ID != log[0].ID || again[0].Committer != lakefstest.Admin.Name {
		t.Errorf("the log is %+v, and was %+v", again, log)
	}
	if paths := repo.Paths(t, "main"); !slices.Equal(paths, []string{"data/a", "data/b", "other/c"}) {
		t.Errorf("the branch has %q", paths)
	}
}

func TestLakectlOfTheServersVersion(t *testing.T) {
	server := lakefstest.Start(t, lakefstest.Config{Blockstore: ceph})
	newRepository(t, server, "repo")
	if out, code := lakefstest.Lakectl(t, server.Endpoint, lakefstest.Admin, "fs", "ls", "lakefs://repo/main/data/"); code != 0 || !strings.Contains(out, " b\n") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if out, code := lakefstest.Lakectl(t, server.Endpoint, lakefstest.Admin, "fs", "ls", "lakefs://none/main/"); code == 0 {
		t.Errorf("exit code %d\n%s", code, out)
	}
}
