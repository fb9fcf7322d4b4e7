package ctl

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/rangefleet/rangefleet/pkg/api"
)

// summary is the state of an import, as a result: of kindStatus while it runs, else of
// kindSummary. What is not known is left out.
type summary struct {
	ID              string `json:"id"`
	Phase           string `json:"phase,omitempty"`
	IngestedObjects int64  `json:"ingested_objects"`

	// What the service tells of the progress: nil if it is a lakeFS server. The next two fields
	// take the place of those in it.
	*api.ImportProgress
	ObjectsPerSecond *float64 `json:"objects_per_second,omitempty"`
	ElapsedSeconds   float64  `json:"elapsed_seconds,omitempty"`

	Ranges      int          `json:"ranges"`
	Partitions  int          `json:"partitions,omitempty"`
	Skipped     int64        `json:"skipped,omitempty"`
	Changes     *api.Changes `json:"changes,omitempty"`
	UpdateTime  string       `json:"update_time,omitempty"`
	MetarangeID string       `json:"metarange_id,omitempty"`
	Commit      *commit      `json:"commit,omitempty"`
	Error       string       `json:"error,omitempty"`
	Problem     string       `json:"problem,omitempty"`
	Walk        string       `json:"walk,omitempty"`
}

// why is the error of an import, without the prefix that clients of lakeFS expect.
func why(e api.Error) string { return strings.TrimPrefix(e.Message, api.ImportErrorPrefix) }

// ended reports whether an import has ended. The answers of a lakeFS server have no phase.
func ended(s api.ImportStatusResp) bool {
	return s.Completed || s.Error.Message != "" || s.Phase == api.Failed || s.Phase == api.Canceled || s.Phase == api.Previewed
}

func summarize(id string, s api.ImportStatusResp) summary {
	sum := summary{
		ID: id, Phase: string(s.Phase), IngestedObjects: s.IngestedObjects, Skipped: s.Skipped, Ranges: s.Ranges, Partitions: s.Partitions,
		MetarangeID: s.MetarangeID, Error: why(s.Error), Problem: s.Problem, Walk: s.Walk,
	}
	if told := s.Progress; told != (api.ImportProgress{}) {
		told.RemainingSeconds = rounded(duration(told.RemainingSeconds))
		sum.ImportProgress = &told
		sum.ElapsedSeconds = rounded(duration(told.ElapsedSeconds))
		sum.setRate(told.ObjectsPerSecond)
	}
	if !s.UpdateTime.IsZero() {
		sum.UpdateTime = s.UpdateTime.UTC().Format(time.RFC3339)
	}
	if s.Completed {
		made := commitOf(s.Commit)
		sum.Commit = &made
	}
	if s.Completed || s.Phase == api.Previewed {
		sum.Changes = &s.Changes
	}
	return sum
}

// setRate sets the rate, without digits that it is not exact to.
func (sum *summary) setRate(perSecond float64) {
	perSecond = math.Round(perSecond*10) / 10
	sum.ObjectsPerSecond = &perSecond
}

// listed is the number of keys that are known to have been listed.
func (sum *summary) listed() int64 {
	if sum.ImportProgress == nil {
		return sum.IngestedObjects
	}
	return max(sum.ListedObjects, sum.IngestedObjects)
}

// allListed reports whether no key is left to be listed, as far as the service knows.
func (sum *summary) allListed() bool {
	told := sum.ImportProgress
	return told != nil && sum.Partitions == 0 && told.EstimatedObjects > 0 && told.EstimatedObjects == told.EstimatedObjectsLow &&
		told.EstimatedObjects == told.EstimatedObjectsHigh && sum.listed() >= told.EstimatedObjects
}

// conclude shows how a watched import ended, and returns its exit code as a failure.
func conclude(a *app, what imported, s api.ImportStatusResp, sum summary) error {
	if err := show(a, kindSummary, sum, what.sheet); err != nil {
		return err
	}
	switch {
	case s.Completed, s.Phase == api.Previewed:
		return nil
	case s.Phase == api.Canceled:
		return &failure{code: Canceled, err: fmt.Errorf("import %s was canceled", what.id), shown: true}
	default:
		err := fmt.Errorf("import %s failed: %s", what.id, sum.Error)
		return &failure{code: Failed, err: advise(err, failureHint(sum.Error)), shown: true}
	}
}

// sheet writes the state of the import as text.
func (what imported) sheet(w io.Writer, sum summary) error {
	rows := []row{
		{"Phase", sum.Phase},
		{"Error", sum.Error},
		{"Problem", sum.Problem},
		{"Walk", sum.Walk},
		{"Objects", grouped(sum.IngestedObjects)},
	}
	if sum.ImportProgress != nil && sum.Phase == string(api.Running) {
		rows[len(rows)-1].text += " stored"
		rows = append(rows, sum.runningRows()...)
	}
	if c := sum.Changes; c != nil {
		rows = append(rows, row{"Changes", fmt.Sprintf("%s added, %s replaced, %s removed, %s unchanged",
			grouped(c.Added), grouped(c.Replaced), grouped(c.Removed), grouped(c.Unchanged))})
	}
	if sum.Skipped > 0 {
		rows = append(rows, row{"Skipped", counted(sum.Skipped, "folder marker") + ", whose key would be empty"})
	}
	if sum.Ranges > 0 { // the number is not kept for a failed import
		rows = append(rows, row{"Ranges", grouped(int64(sum.Ranges))})
	}
	if sum.Partitions > 0 {
		rows = append(rows, row{"Partitions", grouped(int64(sum.Partitions))})
	}
	rows = append(rows, row{"Metarange ID", sum.MetarangeID})
	if c := sum.Commit; c != nil {
		rows = append(rows, row{"Commit ID", c.ID}, row{"Message", c.Message},
			row{"Created", instant(int64(c.CreationDate))}, row{"Parents", strings.Join(c.Parents, ", ")})
	} else {
		rows = append(rows, row{"Updated", sum.UpdateTime})
	}
	if sum.ImportProgress != nil && sum.Throttles+sum.Retries > 0 {
		rows = append(rows, row{"Throttles", grouped(sum.Throttles)}, row{"Retries", grouped(sum.Retries)})
	}
	if sum.ElapsedSeconds > 0 {
		elapsed := lasting(duration(sum.ElapsedSeconds))
		if sum.ObjectsPerSecond != nil && sum.IngestedObjects > 0 {
			elapsed += ", " + grouped(int64(*sum.ObjectsPerSecond)) + " objects/s"
		}
		rows = append(rows, row{"Elapsed", elapsed})
	}
	return sheet(w, "Import "+sum.ID+" into "+what.place.String(), rows...)
}

// runningRows are the rows about an import that is listing.
func (sum *summary) runningRows() []row {
	listed, remaining := grouped(sum.listed()), ""
	switch {
	case sum.allListed():
		listed += ", all"
	case sum.EstimatedObjects > 0:
		listed += " of about " + short(sum.EstimatedObjects)
		if likely := sum.likely(short); likely != "" {
			listed += " (" + likely + ")"
		}
	}
	if sum.RemainingSeconds > 0 {
		remaining = "about " + roughly(duration(sum.RemainingSeconds))
	}
	return []row{{"Listed", listed}, {"Remaining", remaining}, {"Workers", grouped(int64(sum.Workers))}}
}

// likely is between which numbers the number of objects probably is, with numbers written by a
// function; "" if they are written alike, or nothing is estimated.
func (sum *summary) likely(written func(int64) string) string {
	if sum.ImportProgress == nil || sum.EstimatedObjects == 0 {
		return ""
	}
	low, high := written(sum.EstimatedObjectsLow), written(sum.EstimatedObjectsHigh)
	switch {
	case sum.EstimatedObjectsHigh == 0:
		return "at least " + low
	case low == high:
		return ""
	}
	return low + " to " + high
}
