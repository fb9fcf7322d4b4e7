package server

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/coordinator/inspect"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// comparePart is how long a part of a comparison takes, and a little more. A client shows
// its progress after each.
const comparePart = 5 * time.Second

// CompareMetaRange answers the next part of a comparison of a tree with a source.
func (h *handlers) CompareMetaRange(w http.ResponseWriter, r *http.Request, repository, id string) {
	var body api.ComparisonCreation
	in := jsonBody(func(data []byte) (err error) {
		if body, err = decode[api.ComparisonCreation](data); err != nil {
			return err
		}
		if body.Names < 0 || body.Names > limits.Results {
			return fault.BadField("names", "%d: want 0 to %d", body.Names, limits.Results)
		}
		return limits.Bytes("destination", body.Destination, limits.Key)
	})
	in.fixed = forTree + limits.Results*perResult
	in.names = func(r *access.Request) (err error) {
		r.Paths, err = coordinator.SourceOf("source", body.Source, body.Destination)
		return err
	}
	h.serve(w, r, in, func(ctx context.Context, caller access.Caller) (int, any, error) {
		purpose := []string{"compare", caller.User, repository, id, body.Source, body.Destination}
		q := inspect.Question{
			Repository: repository, Metarange: id, Source: body.Source, Destination: body.Destination, Names: body.Names,
			Over: after(h.now, h.now().Add(comparePart)),
		}
		var err error
		if q.From, err = h.position(body, purpose); err != nil {
			return 0, nil, err
		}
		release, err := h.mayVerify(ctx, r, repository, id)
		if err != nil {
			return 0, nil, err
		}
		defer release()
		got, err := h.inspect.Compare(ctx, q)
		if err != nil {
			return 0, nil, unreadable{err}
		}
		return http.StatusOK, h.comparison(got, q.From.Since, purpose), nil
	})
}

// after returns a function that reports whether a time has come.
func after(now func() time.Time, end time.Time) func() bool {
	return func() bool { return !now().Before(end) }
}

// position returns where a comparison begins, or goes on.
func (h *handlers) position(body api.ComparisonCreation, purpose []string) (at inspect.Position, err error) {
	if body.ContinuationToken == "" {
		at.Since = h.now().UTC().Truncate(time.Second)
		if body.Since != 0 {
			at.Since = time.Unix(body.Since, 0).UTC()
		}
		return at, nil
	}
	text, err := h.sealer.Open(body.ContinuationToken, purpose...)
	if err == nil {
		err = json.Unmarshal([]byte(text), &at)
	}
	if err != nil {
		err = fault.BadField("continuation_token", "not of an answer to this user, for this tree, source and destination")
	}
	return at, err
}

func (h *handlers) comparison(c inspect.Comparison, since time.Time, purpose []string) api.Comparison {
	answered := api.Comparison{
		Since: since.Unix(), Equal: c.Equal, Missing: c.Missing, Extra: c.Extra, Changed: c.Changed, Later: c.Later,
		Differences: convertAll(c.Differences, sourceDifference),
	}
	if c.Next != nil {
		text, _ := json.Marshal(c.Next) // text and a time always encode
		answered.ContinuationToken = h.sealer.Seal(string(text), purpose...)
	}
	return answered
}

func sourceDifference(d inspect.Difference) api.SourceDifference {
	shown := api.SourceDifference{
		Key: d.Key, Kind: api.SourceDifferenceKind(d.Kind),
		Fields: convertAll(d.Fields, func(f string) api.SourceDifferenceFields { return api.SourceDifferenceFields(f) }),
	}
	if !d.ModTime.IsZero() {
		shown.Mtime = d.ModTime.Unix()
	}
	return shown
}
