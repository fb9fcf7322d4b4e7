package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/coordinator"
	"github.com/rangefleet/rangefleet/pkg/limits"
	"github.com/rangefleet/rangefleet/pkg/partition"
)

// decodedRanges is the twin of readRanges: it reads the body in one piece.
func decodedRanges(body []byte) (ranges []partition.RangeMetadata, err error) {
	v, err := decode[api.MetaRangeCreation](body)
	if err != nil {
		return nil, err
	}
	ranges = []partition.RangeMetadata{}
	for _, m := range v.Ranges {
		ranges = append(ranges, partition.RangeMetadata{
			ID: m.ID, MinKey: m.MinKey, MaxKey: m.MaxKey, Count: m.Count, EstimatedSize: m.EstimatedSize,
		})
	}
	return ranges, nil
}

const twoRanges = `{"ranges":[{"id":"r","min_key":"a","max_key":"\u00e9\ud83d\ude00","count":1,"estimated_size":18446744073709551615},
	{"count":2,"id":"s","x":{"y":[1,null]},"min_key":"<","max_key":"z","estimated_size":0}],"other":[{"ranges":1}]}`

// A client is not told what is wrong with a range; the log has it.
func TestRefusedRangesAreExplainedInTheLog(t *testing.T) {
	f := newFixture(t)
	f.service.err = fmt.Errorf("%w: ranges[1].count: 5, but the range has 6 entries", coordinator.ErrRange)
	exchange{"", "POST", "/api/v1/repositories/lake/branches/metaranges", twoRanges, nil, 400, `{"message":"invalid range"}`}.run(t, f)
	if !strings.Contains(f.log.String(), "ranges[1].count: 5, but the range has 6 entries") {
		t.Errorf("log:\n%s", f.log)
	}
}

func compareWithTwin(t *testing.T, body []byte) {
	t.Helper()
	got, err := readRanges(bytes.NewReader(body))
	want, wantErr := decodedRanges(body)
	if !utf8.Valid(body) || json.Valid(body) && loneSurrogate(body) {
		if wantErr == nil {
			t.Fatal("the twin accepts invalid text")
		}
		return // readRanges does not check the names of unknown fields
	}
	if (err == nil) != (wantErr == nil) || !slices.Equal(got, want) {
		t.Errorf("%s\nreads as %+v, %v\nwant     %+v, %v", body, got, err, want, wantErr)
	}
}

func FuzzReadRanges(f *testing.F) {
	for _, body := range []string{
		twoRanges, "", " ", "null", "[]", "{}", "1", `{"ranges":null}`, `{"ranges":{}}`, `{"ranges":"x"}`, `{"ranges":[]}`, `{"ranges":[null]}`, `{"ranges":[[]]}`,
		`{"ranges":[],"ranges":[]}`, `{"ranges":[]} `, `{"ranges":[]}{}`, `{"ranges":[]},`, `{"ranges":[],}`, `{"ranges":[}`, `{"Ranges":[]}`, `{"ranges" []}`,
		`{"ranges":[` + strings.Repeat("[", 20) + "]}", `{"ranges":[{"id":"\ud800","min_key":"","max_key":"","count":1,"estimated_size":1}]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(compareWithTwin)
}

// Bodies with changed, missing and repeated bytes are read as the twin reads them.
func TestReadRangesLikeDecode(t *testing.T) {
	rnd := seeded.Rand(t)
	for range 2_000 {
		body := []byte(twoRanges)
		for range 1 + rnd.IntN(3) {
			at := rnd.IntN(len(body))
			switch rnd.IntN(3) {
			case 0:
				body = slices.Delete(body, at, min(len(body), at+1+rnd.IntN(5)))
			case 1:
				body = slices.Insert(body, at, []byte(twoRanges)[rnd.IntN(len(twoRanges))])
			default:
				body[at] = []byte(`{}[]",:0- n\`)[rnd.IntN(12)]
			}
		}
		compareWithTwin(t, body)
	}
}

func TestRangesAreCountedAsTheyAreRead(t *testing.T) {
	one := `{"id":"r","min_key":"a","max_key":"b","count":1,"estimated_size":1}`
	body := func(n int) string { return `{"ranges":[` + strings.Repeat(one+",", n-1) + one + "]}" }
	if ranges, err := readRanges(strings.NewReader(body(limits.Ranges))); err != nil || len(ranges) != limits.Ranges {
		t.Errorf("%d ranges, %v", len(ranges), err)
	}
	if _, err := readRanges(strings.NewReader(body(limits.Ranges + 1))); fmt.Sprint(err) != "ranges: 100001 elements, at most 100000 are allowed" {
		t.Errorf("one too many: %v", err)
	}
}
