package ctl

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
)

func verifyCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "verify lakefs://repository/ref",
		Short: "Verify the metarange and range files of a commit",
		Long: `Reads all metadata files of the commit that a ref points at: the metarange and its
ranges. The coordinator compares each file with its ID, a hash of its content, and with
what the metarange says about the range: first and last key, count and estimated size. It
checks that keys are in order, and that each record is an entry. The imported objects
themselves are not read.

Each range with a fault is printed. The exit code is 1 if there is one.`,
		Example: `  rangectl verify lakefs://demo/main`,
		Args:    cobra.ExactArgs(1),
		RunE: call(a, atRef, func(ctx context.Context, c *client.Client, p place) error {
			commit, err := c.Commit(ctx, p.repository, p.ref)
			if err != nil {
				return err
			}
			sum := verification{MetarangeID: commit.MetaRangeID}
			if commit.MetaRangeID != "" { // else the tree is empty, and has no files
				if err := sum.verify(ctx, a, c, p); err != nil {
					return err
				}
			}
			if err := show(a, sum, verificationSheet(p)); err != nil {
				return err
			}
			if sum.Faults > 0 {
				return &failure{Failed, fmt.Errorf("%s: %s of %d cannot be trusted", p, counted(sum.Faults, "range"), sum.Ranges)}
			}
			return nil
		}),
	}
}

// verification is what was verified of a tree, as a result.
type verification struct {
	MetarangeID string `json:"metarange_id"`
	Ranges      int64  `json:"ranges"`
	Objects     int64  `json:"objects"`
	Faults      int64  `json:"faults"`
}

// verify verifies the tree, and shows each range with a fault.
func (v *verification) verify(ctx context.Context, a *app, c *client.Client, p place) error {
	for r, err := range c.Verify(ctx, p.repository, v.MetarangeID, client.Page{}) {
		if err != nil {
			return err
		}
		v.Ranges++
		v.Objects += r.Count
		if r.Fault == "" {
			continue
		}
		v.Faults++
		if err := show(a, r, faultyRange); err != nil {
			return err
		}
	}
	return nil
}

func verificationSheet(p place) func(io.Writer, verification) error {
	return func(w io.Writer, v verification) error {
		return sheet(w, "Tree of "+p.String(), row{"Metarange ID", v.MetarangeID}, row{"Ranges", grouped(v.Ranges)},
			row{"Objects", grouped(v.Objects)}, row{"Faults", grouped(v.Faults)})
	}
}

func faultyRange(w io.Writer, r api.VerifiedRange) error {
	return sheet(w, "Range "+r.ID, row{"Fault", r.Fault}, row{"First key", r.MinKey}, row{"Last key", r.MaxKey}, row{"Objects", grouped(r.Count)})
}
