package landing

import (
	"context"
	"fmt"
	"time"

	"github.com/rangefleet/rangefleet/pkg/metarange"
)

// AfarRanges is the number of ranges in each tree that the command measures on a slow store.
const AfarRanges = 32

// afarDelay is what each read of a slow store takes.
const afarDelay = 50 * time.Millisecond

// Changed returns the case that LandAfar lands. All of its ranges have files.
func Changed() Case {
	return Case{"changed", fmt.Sprintf("destination: the whole branch; all ranges have changed entries, each read takes %s longer", afarDelay), changed}
}

func changed(n int) trees {
	t := trees{removed: metarange.Removed{Prefixes: []string{""}}}
	for i := range n {
		all := keys(fmt.Sprintf("warehouse/%05d/", i), filed, true)
		t.head = append(t.head, filedRange(all))
		t.imported = append(t.imported, filedRange(all[:filed/2], all[filed/2+1:])) // which changes the ETags that follow, too
	}
	return t
}

// LandAfar is Land on a store whose reads are slow. Ranges that have changed are compared
// beside one another, as in a coordinator, or one after another.
func (s Stored) LandAfar(ctx context.Context, beside bool) (Cost, error) {
	var budget *metarange.Budget
	if beside {
		budget = newBudget()
	}
	return s.measureLand(ctx, budget, afarDelay)
}
