package coordinator

import (
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/fault"
)

// An import that the service account could not land does not start.
func TestAnImportStartsOnlyIfItsAccountMayLandIt(t *testing.T) {
	t.Parallel()
	i := newServerImport(t)
	for name, c := range map[string]struct {
		call   string
		answer said
		want   fault.Kind
		says   string
	}{
		"may not commit":           {"/refs/main/merge/main  by account", said{401, "not allowed to fs:CreateCommit"}, fault.Forbidden, `own account at the lakeFS server may not commit to branch "main": not allowed`},
		"may commit to no branch":  {"/refs/rf-permission/merge/rf-permission  by account", said{401, "not allowed to fs:CreateCommit"}, fault.Forbidden, `branch "rf-permission"`},
		"its login is refused now": {"/refs/main/merge/main  by account", said{401, "error authenticating request"}, fault.Later, "try again"},
		"the server is ill":        {"/refs/main/merge/main  by account", said{500, "no"}, fault.Later, "try again"},
	} {
		i.lakefs.answers(on(c.call, c.answer))
		_, err := i.service.Start(root.In(t.Context()), request("", ""))
		if !fault.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want %q", name, err, c.says)
		}
	}
}
