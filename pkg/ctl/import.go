package ctl

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/client"
	"github.com/rangefleet/rangefleet/pkg/objectstore"
)

// importFlags are the flags of import as they were given.
type importFlags struct {
	from     []string
	to       string
	kind     string
	message  string
	metadata []string
	empty    bool
	dry      bool
	detach   bool
	progress string
}

func (a *app) importCommand() *cobra.Command {
	var f importFlags
	cmd := &cobra.Command{
		Use:   "import --from URI [--from URI]... --to lakefs://repository/branch[/path]",
		Short: "Import objects into a branch, without copying them",
		Long: `Imports what is under --from into --to and commits it. The keys under the
destination are replaced by those of the sources; where sources bring equal keys,
the later one wins. A source without a '/' at its end also takes what its last part
only begins: s3://lake/raw takes raw/a and raw2/b. If there is nothing under a source,
the import fails and the branch stays as it was, unless --allow-empty is given. A bucket
or a local directory that does not exist always fails the import.

With --dry-run it tells how many keys of the branch the import would add, replace,
remove and leave as they are. It takes as long as the import, and makes no commit.

Ctrl-C detaches: the import goes on, and what is printed says how to come back.
The same command again while the import runs joins it.`,
		Example: `  rangectl import --from s3://lake/raw/ --to lakefs://demo/main/raw/
  rangectl import --from local:///data/ --to lakefs://demo/main --message "nightly" --metadata job=17
  rangectl import --type object --from s3://lake/a.csv --to lakefs://demo/main/tables/`,
		Args: cobra.NoArgs,
		RunE: run(func(ctx context.Context, _ []string) error { return a.importRun(ctx, f) }),
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.from, "from", nil, "`URI` of a source: s3://bucket/prefix or local:///directory/; may be repeated")
	flags.StringVar(&f.to, "to", "", "`URI` of the destination: lakefs://repository/branch, or with a path after it")
	flags.StringVar(&f.kind, "type", string(api.ImportLocationTypeCommonPrefix),
		"`type` of the sources: common_prefix, or object (imported as the destination; under it, if that ends in '/')")
	flags.StringVarP(&f.message, "message", "m", "Import objects", "`text` of the commit")
	flags.StringArrayVar(&f.metadata, "metadata", nil, "`key=value` of the commit; may be repeated")
	flags.BoolVar(&f.empty, "allow-empty", false, "import also if there is nothing under a source, which removes what is under the destination")
	flags.BoolVar(&f.dry, "dry-run", false, "tell what the import would change in the branch, without a commit")
	flags.BoolVar(&f.detach, "detach", false, "do not wait: print the import's ID and leave")
	addProgress(cmd, &f.progress)
	_ = cmd.MarkFlagRequired("from")
	_ = cmd.MarkFlagRequired("to")
	return cmd
}

func addProgress(cmd *cobra.Command, to *string) {
	cmd.Flags().StringVar(to, "progress", "auto", "`how` progress is shown: tty, plain, none, or auto (tty on a terminal, else plain)")
}

func (a *app) importRun(ctx context.Context, f importFlags) error {
	to, err := at(f.to)
	if err != nil {
		return err
	}
	request, err := f.request(to.path)
	if err != nil {
		return err
	}
	mode, err := a.progressMode(f.progress)
	if err != nil {
		return err
	}
	c, err := a.client(client.Config{})
	if err != nil {
		return err
	}
	start := a.Now()
	id, err := c.StartImport(ctx, to.repository, to.ref, request)
	if err != nil {
		return a.notStarted(ctx, missingAt(f.to, err))
	}
	what := imported{to, id}
	if f.detach {
		a.sayComeBack("import started", what)
		return a.show(summary{ID: id}, func(w io.Writer) error { _, err := fmt.Fprintln(w, id); return err })
	}
	fmt.Fprintf(a.Err, "import %s into %s\n", printable(id), printable(to.String()))
	s, err := a.follow(ctx, what, mode, start)
	if err != nil {
		return err
	}
	return a.conclude(what, s, a.Now().Sub(start))
}

// notStarted is the failure of a start. Without an answer nobody knows whether
// there is an import now.
func (a *app) notStarted(ctx context.Context, err error) error {
	const again = "whether the import was started is unknown; the same command again joins it"
	switch {
	case ctx.Err() != nil:
		return &failure{Interrupted, fmt.Errorf("interrupted: %s", again)}
	case client.Transient(err):
		return &failure{Unknown, fmt.Errorf("%w; %s", err, again)}
	default:
		return err
	}
}

// request is the body of import_start for a destination.
func (f importFlags) request(destination string) (api.ImportPathsCreation, error) {
	request := api.ImportPathsCreation{Commit: api.CommitCreation{Message: f.message}, AllowEmpty: f.empty, DryRun: f.dry}
	kind := api.ImportLocationType(f.kind)
	if !kind.Valid() {
		return request, usage("--type %q: want common_prefix or object", f.kind)
	}
	for _, from := range f.from {
		u, err := objectstore.ParseURI(from)
		if err != nil {
			return request, usage("--from: %w", err)
		}
		to := destination
		if kind == api.ImportLocationTypeObject {
			if to, err = f.object(u, destination); err != nil {
				return request, err
			}
		}
		request.Paths = append(request.Paths, api.ImportLocation{Type: kind, Path: from, Destination: to})
	}
	for _, pair := range f.metadata {
		name, text, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return request, usage("--metadata %q: want key=value", pair)
		}
		if request.Commit.Metadata == nil {
			request.Commit.Metadata = make(api.UserMetadata)
		}
		request.Commit.Metadata[name] = text
	}
	return request, nil
}

// object is the key that an object is imported as: the destination, or in it if
// that is a directory. The object may be one whose key ends in '/'.
func (f importFlags) object(from objectstore.URI, destination string) (string, error) {
	name := from.Key[strings.LastIndexByte(strings.TrimSuffix(from.Key, "/"), '/')+1:]
	switch {
	case name == "":
		return "", usage("--from: %q names no object", from)
	case destination == "" || strings.HasSuffix(destination, "/"):
		return destination + name, nil
	case len(f.from) > 1:
		return "", usage("--to: several objects need a destination that ends in '/'")
	default:
		return destination, nil
	}
}

// summary is how an import stands, as a result.
type summary struct {
	ID          string       `json:"id"`
	Phase       string       `json:"phase,omitempty"`
	Objects     int64        `json:"objects"`
	Skipped     int64        `json:"skipped,omitempty"`
	Changes     *api.Changes `json:"changes,omitempty"`
	Ranges      int          `json:"ranges"`
	Partitions  int          `json:"partitions,omitempty"`
	Updated     string       `json:"updated,omitempty"`
	MetarangeID string       `json:"metarange_id,omitempty"`
	Commit      *api.Commit  `json:"commit,omitempty"`
	Error       string       `json:"error,omitempty"`
	Problem     string       `json:"problem,omitempty"`
	Walk        string       `json:"walk,omitempty"`
	Seconds     float64      `json:"elapsed_seconds,omitempty"`    // only of an import watched from its start
	Rate        int64        `json:"objects_per_second,omitempty"` // likewise
}

func summarize(id string, s api.ImportStatusResp, elapsed time.Duration) summary {
	sum := summary{
		ID: id, Phase: string(s.Phase), Objects: s.IngestedObjects, Skipped: s.Skipped, Ranges: s.Ranges, Partitions: s.Partitions,
		MetarangeID: s.MetarangeID, Error: strings.TrimPrefix(s.Error.Message, api.ImportErrorPrefix), Problem: s.Problem,
		Walk: s.Walk,
	}
	if !s.UpdateTime.IsZero() {
		sum.Updated = s.UpdateTime.UTC().Format(time.RFC3339)
	}
	if s.Completed {
		sum.Commit = &s.Commit
	}
	if s.Completed || s.Phase == api.Previewed {
		sum.Changes = &s.Changes
	}
	if elapsed > 0 {
		sum.Seconds = elapsed.Round(time.Millisecond).Seconds()
		sum.Rate = int64(float64(sum.Objects) / elapsed.Seconds())
	}
	return sum
}

// conclude shows how a watched import ended, and makes its exit code. Without
// elapsed it was not watched from its start.
func (a *app) conclude(what imported, s api.ImportStatusResp, elapsed time.Duration) error {
	sum := summarize(what.id, s, elapsed)
	if err := a.show(sum, func(w io.Writer) error { return sum.write(w, what) }); err != nil {
		return err
	}
	switch {
	case s.Completed, s.Phase == api.Previewed:
		return nil
	case s.Phase == api.Canceled:
		return &failure{code: Canceled}
	default:
		return &failure{code: Failed}
	}
}

func (sum summary) write(w io.Writer, what imported) error {
	title := "Import " + sum.ID + " into " + what.String()
	rows := []row{
		{"Phase", sum.Phase},
		{"Error", sum.Error},
		{"Problem", sum.Problem},
		{"Walk", sum.Walk},
		{"Objects", grouped(sum.Objects)},
	}
	if c := sum.Changes; c != nil {
		rows = append(rows, row{"Changes", fmt.Sprintf("%s added, %s replaced, %s removed, %s unchanged",
			grouped(c.Added), grouped(c.Replaced), grouped(c.Removed), grouped(c.Unchanged))})
	}
	if sum.Skipped > 0 {
		rows = append(rows, row{"Skipped", counted(sum.Skipped, "folder marker") + ", whose key would be empty"})
	}
	if sum.Ranges > 0 { // it is not kept of an import that has failed
		rows = append(rows, row{"Ranges", grouped(int64(sum.Ranges))})
	}
	if sum.Partitions > 0 {
		rows = append(rows, row{"Partitions", grouped(int64(sum.Partitions))})
	}
	rows = append(rows, row{"Metarange ID", sum.MetarangeID})
	if c := sum.Commit; c != nil {
		rows = append(rows, row{"Commit ID", c.ID}, row{"Message", c.Message},
			row{"Created", instant(c.CreationDate)}, row{"Parents", strings.Join(c.Parents, ", ")})
	} else {
		rows = append(rows, row{"Updated", sum.Updated})
	}
	if sum.Seconds > 0 {
		elapsed := time.Duration(sum.Seconds * float64(time.Second))
		rows = append(rows, row{"Elapsed", lasting(elapsed) + ", " + grouped(sum.Rate) + " objects/s"})
	}
	return sheet(w, title, rows...)
}
