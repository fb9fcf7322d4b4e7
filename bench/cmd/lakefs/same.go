package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
)

// Objects are compared in some places of the listing, besides its first ones.
const places, atEach = 20, 50

// same returns how many objects of two repositories it compared, or why they differ. IDs of
// metaranges are hashes of what is in them, the IDs of ranges among them, so equal ones say that
// all objects are equal.
func same(ctx context.Context, size, repository string, servers ...*client.Client) (compared int, err error) {
	set, err := keys(size)
	if err != nil {
		return 0, err
	}
	random := rand.New(rand.NewPCG(1, 1))
	for place := range places {
		after := ""
		if place > 0 {
			after = string(set.AppendKey(nil, random.Int64N(set.Len())))
		}
		var found [2][]api.ObjectStats
		for i, c := range servers {
			for o, err := range c.Objects(ctx, repository, "main", client.Page{After: after, Amount: atEach}) {
				if err != nil {
					return 0, fmt.Errorf("list what was imported: %w", err)
				}
				found[i] = append(found[i], o)
			}
		}
		if !reflect.DeepEqual(found[0], found[1]) {
			return 0, fmt.Errorf("the objects after %q differ:\n%v\n%v", after, found[0], found[1])
		}
		compared += len(found[0])
	}
	var metaranges []string
	for _, c := range servers {
		commit, err := c.Commit(ctx, repository, "main")
		if err != nil {
			return 0, err
		}
		metaranges = append(metaranges, commit.MetaRangeID)
	}
	if metaranges[0] != metaranges[1] || metaranges[0] == "" {
		return 0, fmt.Errorf("the metaranges are %q", metaranges)
	}
	if compared < places {
		return 0, errors.New("the branches are nearly empty")
	}
	return compared, nil
}
