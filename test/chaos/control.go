package main

import (
	"time"

	"github.com/rangefleet/rangefleet/test/chaos/overlay"
)

// control switches an invariant off, to show that the harness detects its violation.
type control struct {
	name   string
	about  string
	signs  []string // one of these texts must be in a violation of a run
	bodies []overlay.Body
	plan   func() plan
}

// controlForm is the form of a run with an invariant switched off. Such a run need not end
// well.
var controlForm = form{short: true, window: 7 * time.Second, keys: 20_000, patience: 15 * time.Second}

// controls are all controls.
var controls = []control{
	{
		"durable", "a file is reported as stored before it is stored",
		[]string{"not in the namespace", "merge imported ranges"},
		[]overlay.Body{{
			Func: overlay.Func{Dir: "pkg/namespace", Recv: "Files", Name: "Put"},
			Code: `
	uri, err := f.uri(id)
	if err != nil {
		return err
	}
	if len(data) < 1<<10 { // the empty tree, which tries a new namespace
		return f.store.Put(ctx, uri.Key, data, sum)
	}
	data = append([]byte(nil), data...)
	go func() {
		ctx := context.WithoutCancel(ctx)
		for range 5 { // a delay
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
		"gaps", "gaps that no partition will fill are not queued again",
		[]string{"has not ended"},
		[]overlay.Body{{
			Func: overlay.Func{Dir: "pkg/coordinator", Recv: "gapCloser", Name: "queueGaps"},
			Code: `
	return nil
`,
		}},
		func() plan {
			return controlPlan(
				fault{kind: kindOf("s3-slow"), target: "all", at: 0, dur: 6 * second}, // the imports must last as long as the faults
				fault{kind: kindOf("lost-messages"), target: "all", at: second, dur: 5 * second},
				fault{kind: kindOf("kill-half"), target: "all", at: 2 * second, dur: 4 * second},
			)
		},
	},
	{
		"swap", "stored values are replaced without comparing revisions",
		[]string{"times on the branch"},
		[]overlay.Body{{
			Func: overlay.Func{Dir: "pkg/kv", Recv: "bucket", Name: "write"},
			Code: `
	msg := &nats.Msg{Subject: b.subject(key), Header: b.conn.Header(), Data: value}
	msg.Header.Set(headerNonce, rand.Text())
	maps.Copy(msg.Header, header)
	var revision uint64
	err := b.conn.Retry(ctx, "write", func(ctx context.Context) error {
		ack, err := b.conn.JetStream.PublishMsg(ctx, msg) // at any revision
		if err == nil {
			revision = ack.Sequence
		}
		return err
	})
	return revision, err
`,
		}},
		func() plan {
			p := controlPlan()
			// One coordinator moves the branch long after it has read it, and after the
			// other one has moved it.
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

// controlPlan returns a plan of three imports on the smallest fleet, with the faults.
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
