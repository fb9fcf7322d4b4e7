package server

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rangefleet/rangefleet/pkg/api"
)

const comparisonURL = "/api/v1/repositories/lake/metaranges/m2/comparison"

// The parts of a comparison are joined by a token, which is that of one user, tree, source and
// destination.
func TestCompareMetaRange(t *testing.T) {
	f := newFixture(t)
	ask := func(url, body string) (int, string) {
		w := f.do("POST", url, body, nil)
		return w.Code, w.Body.String()
	}
	code, text := ask(comparisonURL, `{"source":"s3://b/raw/","destination":"d/","names":2}`)
	var first api.Comparison
	if err := json.Unmarshal([]byte(text), &first); err != nil || code != 200 {
		t.Fatalf("%d %s, %v", code, text, err)
	}
	want := `"differences":[{"key":"d/a","kind":"missing","mtime":1767323045},{"fields":["size","etag"],"key":"d/b","kind":"changed","mtime":1767323045}]`
	if !strings.Contains(text, want) || first.Equal != 7 || first.Since != created.Unix() || first.ContinuationToken == "" {
		t.Errorf("%s, want %s", text, want)
	}
	rest := func(source, destination, token string) string {
		return `{"source":"` + source + `","destination":"` + destination + `","continuation_token":"` + token + `"}`
	}
	code, text = ask(comparisonURL, rest("s3://b/raw/", "d/", first.ContinuationToken))
	if code != 200 || strings.Contains(text, "token") || !strings.Contains(text, `"differences":[{"key":"d/c","kind":"extra"}],"equal":0,"extra":1`) {
		t.Errorf("the rest: %d %s", code, text)
	}
	for _, c := range []struct{ url, body, want string }{
		{comparisonURL, rest("s3://b/raw/", "e/", first.ContinuationToken), "continuation_token: not of an answer"},
		{comparisonURL, rest("s3://b/", "d/", first.ContinuationToken), "continuation_token: not of an answer"},
		{strings.Replace(comparisonURL, "m2", "m3", 1), rest("s3://b/raw/", "d/", first.ContinuationToken), "continuation_token: not of an answer"},
		{comparisonURL, `{"source":"s3://b/","names":1001}`, "names: 1001: want 0 to 1000"},
		{comparisonURL, `{"source":"s3://b/","names":-1}`, "names: -1"},
		{comparisonURL, `{}`, "source: value is required"},
		{comparisonURL, `{"source":"s3://b/","destination":"` + strings.Repeat("x", 1025) + `"}`, "destination: 1025 bytes"},
		{comparisonURL, `{"source":"s3://secret/"}`, "source: not allowed"},
	} {
		if code, text := ask(c.url, c.body); code != 400 || !strings.Contains(text, c.want) {
			t.Errorf("%s: %d %s, want 400 with %s", c.body, code, text, c.want)
		}
	}
	if code, text := ask(comparisonURL, `{"source":"s3://b/","since":7}`); code != 200 || !strings.Contains(text, `"since":7`) {
		t.Errorf("since another time: %d %s", code, text)
	}
}

func TestAPartOfAComparisonEnds(t *testing.T) {
	now := created
	over := after(func() time.Time { return now }, created.Add(comparePart))
	if over() {
		t.Error("it is over at once")
	}
	if now = created.Add(comparePart); !over() {
		t.Error("it is not over after its time")
	}
}
