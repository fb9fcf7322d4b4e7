// Package lakefsserver tests, on a real lakeFS server, what Rangefleet relies on when it works
// beside one. A test is named for the fact that it shows.
package lakefsserver_test

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/internal/canary"
	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/test/lakefsserver/lakefstest"
	"github.com/rangefleet/rangefleet/test/s3/s3test"
)

// ceph is where the objects of all servers lie.
var ceph s3test.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	canary.Watch()
	server, stop, err := s3test.Ceph()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stop()
	ceph = server
	return m.Run()
}

// namespaces makes a bucket for the repositories of a test.
func namespaces(t *testing.T) (url string) {
	t.Helper()
	name := strings.ToLower(regexp.MustCompile("[^A-Za-z0-9]+").ReplaceAllString(t.Name(), "-"))
	name = fmt.Sprintf("%.40s-%s", name, strconv.FormatInt(time.Now().UnixNano(), 36)) // lakeFS's tests take 16 digits for an ID
	expect.NoError(t, ceph.CreateBucket(t.Context(), name))
	return "s3://" + name
}

// newRepository returns a repository whose branch main has a commit with the files a, b and c.
func newRepository(t *testing.T, server *lakefstest.Server, name string) lakefstest.Repository {
	t.Helper()
	client := lakefstest.NewClient(server.Endpoint, lakefstest.Admin)
	repo := client.CreateRepository(t, name, namespaces(t)+"/"+name)
	for _, path := range []string{"data/a", "data/b", "other/c"} {
		repo.Put(t, "main", path, "")
	}
	repo.CommitAll(t, "main", "base")
	return repo
}
