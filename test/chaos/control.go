package main

import (
	"time"

	"github.com/rangefleet/rangefleet/test/chaos/overlay"
)

// control is an invariant switched off. A harness that does not notice is worth
// nothing.
type control struct {
	name   string
	about  string
	signs  []string // one of them must be found in a run without the invariant
	bodies []overlay.Body
	plan   func() plan
}

// controlForm is how long a run with an invariant switched off is. Nothing has to
// end well in it.
var controlForm = form{short: true, window: 7 * time.Second, keys: 20_000, patience: 15 * time.Second}

// controls are all of them.
var controls = []control{
	{
		"durable", "a file is told to be stored before it is",
		[]string{"not in the namespace", "merge imported ranges"},
		[]overlay.Body{{
			Func: overlay.Func{Dir: "pkg/namespace", Recv: "Files", Name: "Put"},
			Code: `
	uri, err := f.uri(id)
	if err != nil {
		return err
	}
	if len(data) < 1<<10 { // the tree that holds nothing, by which a new namespace is tried
		return f.store.Put(ctx, uri.Key, data, sum)
	}
	data = append([]byte(nil), data...)
	go func() {
		ctx := context.WithoutCancel(ctx)
		for range 5 { // it takes its time
			_, _ = f.store.Stat(ctx, uri.Key)
		}
		_ = f.store.Put(ctx, uri.Key, data, sum)
	}()
	return nil
`,
		}},
		func() plan {
			return controlPlan(
				fault{kind: kindOf("s3-slow"), target: "all", at: 0, dur: 6 * second},
				fault{kind: kindOf("kill-half"), target: "all", at: second, dur: 5 * second},
			)
		},
	},
	{
		"gaps", "stretches of keys that nobody works on are not queued again",
		[]string{"has not ended"},
		[]overlay.Body{{
			Func: overlay.Func{Dir: "pkg/coordinator", Recv: "gapCloser", Name: "queueGaps"},
			Code: `
	return nil
`,
		}},
		func() plan {
			return controlPlan(
				fault{kind: kindOf("s3-slow"), target: "all", at: 0, dur: 6 * second}, // so that the imports last as long
				fault{kind: kindOf("lost-messages"), target: "all", at: second, dur: 5 * second},
				fault{kind: kindOf("kill-half"), target: "all", at: 2 * second, dur: 4 * second},
			)
		},
	},
	{
		"swap", "what is stored is replaced without comparing",
		[]string{"times on the branch"},
		[]overlay.Body{{
			Func: overlay.Func{Dir: "pkg/kv", Name: "expect"},
			Code: `
	return jetstream.WithRetryAttempts(2) // as it is anyway
`,
		}},
		func() plan {
			p := controlPlan()
			// So that the one moves the branch long after it looked at it, and after
			// the other one has done so.
			p.faults = append(p.faults,
				fault{kind: kindOf(pointKind), target: "coordinator-0", step: "catalog.Catalog.MoveBranch/before/0/2s"},
				fault{kind: kindOf(pointKind), target: "coordinator-1", step: "catalog.Catalog.MoveBranch/before/0/5s"})
			return p
		},
	},
}

func kindOf(name string) *kind {
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	return nil
}

// controlPlan is three imports on the smallest fleet, and the faults.
func controlPlan(faults ...fault) plan {
	return plan{
		seed: 3, form: controlForm, layout: embedded, faults: faults,
		imports: []job{
			{bucket: "hive-15000-3", dest: "a/", keys: 15_000},
			{bucket: "md5-15000-3", dest: "b/", keys: 15_000},
			{bucket: "uuid-15000-3", dest: "c/", keys: 15_000},
		},
	}
}
