package ctl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	tree "github.com/rangefleet/rangefleet/internal/golden"
	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/internal/tampered"
)

// writeTree writes the files of a tree that a lakeFS server wrote into the _lakefs of a
// directory, and returns that, the metarange's name there, and a range's.
func writeTree(t *testing.T) (dir, metarange, rangeFile string) {
	t.Helper()
	listings, err := tree.Load()
	expect.NoError(t, err)
	l := listings[0]
	dir = t.TempDir()
	files := filepath.Join(dir, "_lakefs")
	expect.NoError(t, os.Mkdir(files, 0o700))
	for id, data := range l.Files {
		path := filepath.Join(files, id)
		expect.NoError(t, os.WriteFile(path, data, 0o600))
		if id != l.MetarangeID && (rangeFile == "" || path < rangeFile) {
			rangeFile = path
		}
	}
	return dir, filepath.Join(files, l.MetarangeID), rangeFile
}

func TestInspect(t *testing.T) {
	dir, metarange, rangeFile := writeTree(t)
	id := filepath.Base(metarange)
	damaged := filepath.Join(dir, "damaged")
	data, err := os.ReadFile(rangeFile)
	expect.NoError(t, err)
	data[100] ^= 1
	expect.NoError(t, os.WriteFile(damaged, data, 0o600))
	other := strings.Repeat("0", 64)
	for _, c := range []struct {
		name string
		args []string
		code ExitCode
	}{
		{"metarange", []string{metarange, "--entries", "3", "--verify"}, OK},
		{"range", []string{rangeFile, "--entries", "3"}, OK},
		{"range-from", []string{rangeFile, "--entries", "1", "--from", "zzz"}, OK},
		{"another-id", []string{rangeFile, "--verify", "--id", other}, Wrong},
		{"damaged", []string{damaged, "--entries", "1000000"}, Wrong},
		{"no-file", []string{filepath.Join(dir, "none")}, Failed},
		{"directory", []string{dir}, Failed},
		{"no-id", []string{damaged, "--verify"}, Usage},
		{"ref", []string{"lakefs://demo/main", "--entries", "1"}, OK},
		{"id-of-repository", []string{"lakefs://demo/main", "--id", filepath.Base(rangeFile), "--verify"}, OK},
		{"no-such-id", []string{"lakefs://demo/main", "--id", other}, Failed},
		{"namespace-not-allowed", []string{"lakefs://far/main"}, Failed},
		{"store", []string{"local://" + rangeFile, "--verify"}, OK},
		{"not-allowed", []string{"local:///etc/passwd"}, Failed},
	} {
		for _, output := range []string{"text", "json"} {
			t.Run(c.name+"/"+output, func(t *testing.T) {
				co := newCoordinator(t, map[string][]string{
					"GET /repositories/demo":              {`200 {"id":"demo","storage_namespace":"local://` + dir + `","default_branch":"main","creation_date":0}`},
					"GET /repositories/demo/commits/main": {"200 " + strings.Replace(commitJSON, "m2", id, 1)},
					"GET /repositories/far":               {`200 {"id":"far","storage_namespace":"local:///far","default_branch":"main","creation_date":0}`},
					"GET /repositories/far/commits/main":  {"200 " + strings.Replace(commitJSON, "m2", id, 1)},
				})
				m := newMachine(t, co)
				m.env["HOME"], m.env["RANGEFLEET_LOCAL_ALLOWED"] = "/home/op", dir
				args := append([]string{"inspect", "-o", output}, c.args...)
				code := Run(t.Context(), m.system(), args)
				if code != c.code {
					t.Errorf("exit %d, want %d", code, c.code)
				}
				golden(t, "inspect-"+c.name+"."+output, strings.ReplaceAll(m.transcript(co, code, args...), dir, "/DIR"))
			})
		}
	}
}

// Whatever a file holds, inspect shows records or says that it is damaged.
func TestInspectTamperedFiles(t *testing.T) {
	_, metarange, rangeFile := writeTree(t)
	rng := seeded.Rand(t)
	co := newCoordinator(t, nil)
	for _, path := range []string{metarange, rangeFile} {
		data, err := os.ReadFile(path)
		expect.NoError(t, err)
		apart := tampered.TakeApart(data)
		for i := range 50 {
			expect.NoError(t, os.WriteFile(path, apart.Mutated(rng), 0o600))
			m := newMachine(t, co)
			code := Run(t.Context(), m.system(), []string{"inspect", path, "--entries", "100000", "--verify"})
			if code != OK && (code != Wrong || !strings.Contains(m.err.String(), path+": ")) {
				t.Fatalf("mutation %d: exit %d, said %s", i, code, m.err.String())
			}
		}
	}
}
