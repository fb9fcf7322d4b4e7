package localstore_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/objectstore/localstore"
	"github.com/rangefleet/rangefleet/pkg/objectstore/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		t.Helper()
		dir := t.TempDir()
		store, err := localstore.New([]string{dir}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		base := strings.TrimPrefix(dir, "/") + "/"
		return storetest.Harness{Store: store, Base: base, Missing: store, Gone: base + "gone/", Files: true}
	})
}
