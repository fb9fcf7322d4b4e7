package ctl

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

func doctorCommand(a *app) *cobra.Command {
	var seed int64
	var check checkFlags
	cmd := &cobra.Command{
		Use:   "doctor [s3://bucket[/prefix]]",
		Short: "Check the settings of a process and what it connects to, or test how a bucket is listed",
		Long: `Without an argument, it checks what a process with these settings would meet, from this
machine: run it where the process runs. The settings come from RANGEFLEET_... variables and
the file that --config names. It checks

  settings  unknown keys and wrong values; which are set, and where
  files     access.file; http.cert_file, its key and its end
  login     auth.saml.metadata_file and its certificates; auth.oidc.issuer and its keys
  nats      login, JetStream, permissions, streams, copies, space
  s3        sources.allow and --namespace: list and read; the listing mode of imports
  lakefs    version, storage, the permissions of the service account, hooks, protection
  clock     this machine's against NATS, S3 and lakeFS

Each check is ok, a warning, or failed, and says what to do. No secret is printed. It stores
nothing unless --write is given: then it creates a stream in NATS, and an object in each
namespace, and deletes them. The permissions at lakeFS are tried by calls that name what does
not exist. The exit code is 5 if a check failed.

With a bucket, the coordinator tests whether it is safe to list it in parallel, that is, with
LIST calls that start after arbitrary keys. Some stores leave out keys in the answers to such
calls. The coordinator walks the first 50,000 keys by continuation tokens. Then it lists what
follows some keys, directories and made-up strings, and compares. It only reads, and makes
at most 300 LIST calls in 45 seconds. A fault means that parallel is not safe for this
bucket. No fault proves nothing: only some starts among the first keys were tried. The exit
code is 5 if there is a fault in the mode that imports would use now.`,
		Example: `  rangectl doctor --config coordinator.yaml --namespace s3://lake-metadata/demo --write
  rangectl doctor s3://lake/raw/`,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return run(func(ctx context.Context, _ []string) error { return check.run(ctx, a, cmd.Flags()) })(cmd, nil)
		}
		return call(a, sourceURI, func(ctx context.Context, c *client.Client, source string) error {
			return trySource(ctx, a, c, source, seed)
		})(cmd, args)
	}
	cmd.Flags().Int64Var(&seed, "seed", 0, "of a bucket: try the same starts as the trial that printed this `number`; 0: new ones")
	check.add(cmd.Flags())
	return cmd
}

func trySource(ctx context.Context, a *app, c *client.Client, source string, seed int64) error {
	trial, err := c.TrySource(ctx, api.SourceTrialCreation{Source: source, Seed: seed})
	if err != nil {
		return err // the server's error names the source
	}
	if err := show(a, kindSource, trial, trialSheet); err != nil {
		return err
	}
	if err := diagnosis(trial); err != nil {
		return &failure{code: Wrong, err: err}
	}
	return nil
}

// sourceURI parses s3://bucket/prefix.
func sourceURI(uri string) (string, error) {
	if u, err := objectstore.ParseURI(uri); err != nil || u.Scheme != objectstore.SchemeS3 {
		return "", usage("%q: want s3://bucket, or with a prefix of keys after it", uri)
	}
	return uri, nil
}

// diagnosis returns an error if imports, as they are configured now, would rely on the
// mode that the trial found a fault in.
func diagnosis(t api.SourceTrial) error {
	switch parallel := t.Listing.Mode == api.Parallel; {
	case t.Walk.Fault != "":
		return fmt.Errorf("%s cannot be walked", t.Source)
	case parallel && t.Starts.Fault.What != "":
		return fmt.Errorf("imports of %s would lose keys or fail: set s3.listing to walk", t.Source)
	}
	return nil
}

func trialSheet(w io.Writer, t api.SourceTrial) error {
	return sheet(w, "Source "+t.Source,
		row{"Store", t.Store},
		row{"Parallel", knownLine(t.Known)},
		row{"Listing now", string(t.Listing.Mode) + ": " + t.Listing.Why},
		row{"Walk", walkLine(t.Walk)},
		row{"Keys", keysLine(t)},
		row{"Starts", startsLine(t)},
		row{"Fault", faultLine(t.Starts.Fault)},
		row{"Advice", adviceLine(t)},
		row{"Seed", fmt.Sprint(t.Seed)})
}

func knownLine(known bool) string {
	if known {
		return "known to be safe on this store"
	}
	return "not known to be safe on this store"
}

func walkLine(walk api.SourceWalk) string {
	if walk.Fault != "" {
		return walk.Fault
	}
	text := counted(int64(walk.Keys), "key") + " in " + counted(int64(walk.Pages), "page") + ", in order"
	if walk.Complete {
		text += ", to the end"
	}
	if walk.Repeated > 0 {
		text += "; tokens repeat keys, " + grouped(int64(walk.Repeated)) + " in all, which imports drop"
	}
	return text
}

func keysLine(t api.SourceTrial) string {
	if t.Encodes {
		return "URL-encoded, as asked"
	}
	return "not URL-encoded, though asked: control characters cannot be imported"
}

func startsLine(t api.SourceTrial) string {
	text := grouped(int64(t.Starts.Tried)) + " tried"
	if t.Starts.Changed > 0 {
		text += ", " + grouped(int64(t.Starts.Changed)) + " of them not judged, as the source had changed"
	}
	if t.CutShort != "" {
		text += "; cut short: " + t.CutShort
	}
	return text
}

func faultLine(f api.SourceFault) string {
	if f.What == "" {
		return ""
	}
	asked := "a LIST"
	if f.PageKeys > 0 {
		asked += " of " + counted(int64(f.PageKeys), "key")
	}
	asked += fmt.Sprintf(" after %q, %s, ", f.After, f.What)
	switch {
	case f.Message != "":
		return asked + "was answered wrongly: " + f.Message
	case f.Got == "" && f.Want == "":
		return asked + "held no keys, and said that more follow"
	case f.Got == "":
		return asked + fmt.Sprintf("ended where %q should have followed", f.Want)
	case f.Want == "":
		return asked + fmt.Sprintf("held %q, and there is no such key", f.Got)
	}
	return asked + fmt.Sprintf("held %q where %q should have followed", f.Got, f.Want)
}

func adviceLine(t api.SourceTrial) string {
	switch {
	case t.Walk.Fault != "":
		return "none: even a walk of this source is wrong"
	case t.Starts.Fault.What != "":
		return "walk: parallel would lose keys, or fail"
	case t.Starts.Tried == 0:
		return "walk: nothing could be tried"
	}
	return fmt.Sprintf("parallel made no mistake after %s within the first %s; that does not prove it safe",
		counted(int64(t.Starts.Tried), "start"), counted(int64(t.Walk.Keys), "key"))
}
