package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/rangefleet/rangefleet/pkg/api"
	"github.com/rangefleet/rangefleet/pkg/fault"
)

func TestLoneSurrogate(t *testing.T) {
	for text, want := range map[string]bool{
		`"a"`:                  false,
		`"\ud83d\ude00"`:       false,
		`"\uD83D\uDE00"`:       false,
		`"\ud83d"`:             true,
		`"\ude00"`:             true,
		`"\ude00\ud83d"`:       true,
		`"\ud83dx\ude00"`:      true,
		`"\ud83d\ud83d\ude00"`: true,
		`"\\ud83d"`:            false,
		`"\\\ud83d"`:           true,
		`"\u0041\n\ufffd"`:     false,
		`"\ud83d\n"`:           true,
	} {
		if got := loneSurrogate([]byte(text)); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// FuzzReadImport checks that a body is either refused with a fault, or read as another JSON
// decoder reads it.
func FuzzReadImport(f *testing.F) {
	for _, body := range append([]string{
		`{"paths":[{"type":"object","path":"s3://b/\ud83d\ude00","destination":""}],"commit":{"message":"m","metadata":{"k":"v"},"date":1}}`,
		`{"sourceURI":"s3://b/","prepend":"x","metadata":null}`,
		`{"paths":null}`, `[]`, `{"PATHS":[]}`, `{"prepend":"\ud800","source_uri":"x"}`, "{\"prepend\":\"\xff\"}",
		`{"paths":[{"type":"object","path":"s3://b/x","destination":"x","Type":"bogus"}],"commit":{"message":"m"}}`,
		``, `t`, `"\t"`, `{"prepend":""}`,
	}, bodies["importStart"]) {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		start, flat, err := readImport(data)
		if err != nil {
			if !fault.Is(err, fault.Invalid) || err.Error() == "" {
				t.Fatalf("%q: %v is not a fault of the request", data, err)
			}
			return
		}
		if start.Paths == nil || flat && (len(start.Paths) != 1 || start.Paths[0].URI == "") {
			t.Fatalf("%q was read as %+v", data, start)
		}
		for _, p := range start.Paths {
			if !api.ImportLocationType(p.Type).Valid() {
				t.Fatalf("%q has a path of type %q", data, p.Type)
			}
			for _, s := range []string{p.URI, p.Destination} {
				if text, _ := json.Marshal(s); !occurs(t, data, text) {
					t.Fatalf("%q does not hold %q", data, s)
				}
			}
		}
	})
}

// occurs reports whether a string of the JSON value equals the one of text.
func occurs(t *testing.T, data, text []byte) bool {
	t.Helper()
	var want any
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	for {
		token, err := dec.Token()
		if err != nil {
			return false
		}
		if token == want {
			return true
		}
	}
}

// TestRequired checks that every required field of every body must be present.
func TestRequired(t *testing.T) {
	for name, c := range map[string]struct {
		decode func([]byte) error
		body   string
	}{
		"ImportCreation":      {into(new(api.ImportCreation)), `{"prepend":""}`},
		"ImportPathsCreation": {into(new(api.ImportPathsCreation)), `{"paths":[],"commit":{"message":""}}`},
		"ImportStatus":        {into(new(api.ImportStatus)), `{"import_id":""}`},
		"StageRangeCreation":  {into(new(api.StageRangeCreation)), `{"after":"","prepend":""}`},
		"MetaRangeCreation":   {into(new(api.MetaRangeCreation)), `{"ranges":[]}`},
		"RangeMetadata":       {into(new(api.RangeMetadata)), `{"id":"","min_key":"","max_key":"","count":1,"estimated_size":1}`},
		"RepositoryCreation":  {into(new(api.RepositoryCreation)), `{"name":"","storage_namespace":""}`},
		"BranchCreation":      {into(new(api.BranchCreation)), `{"name":"","source":""}`},
	} {
		if err := c.decode([]byte(c.body)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var fields map[string]any
		if err := json.Unmarshal([]byte(c.body), &fields); err != nil {
			t.Fatal(err)
		}
		for field, value := range fields {
			for _, change := range []func(){
				func() { delete(fields, field) },
				func() { fields[field] = nil },
				func() { fields[field] = []any{[]any{}} },
			} {
				change()
				body, _ := json.Marshal(fields)
				var f *fault.Fault
				if err := c.decode(body); !errors.As(err, &f) || f.Field != field && f.Field != field+"[0]" {
					t.Errorf("%s %s: %v does not name %s", name, body, err, field)
				}
			}
			fields[field] = value
		}
	}
}

// A field is read from one place: a name that is there twice, or in other letters, is refused.
func TestFieldsHaveOneValue(t *testing.T) {
	for body, want := range map[string]string{
		`{"name":"a","source":"main","name":"b"}`:            "name: is there twice",
		`{"name":"a","source":"main","NAME":"b"}`:            "NAME: unknown, want name",
		`{"Name":"a","source":"main"}`:                       "Name: unknown, want name",
		`{"name":"a","\u017fource":"x","source":"main"}`:     "\u017fource: unknown, want source",
		`{"name":"a","source":"main","n\u0061me":"b"}`:       "name: is there twice",
		`{"name":"a","source":"main","other":1,"other":2}`:   "",
		`{"name":"a","source":"main","other":{"x":1,"x":2}}`: "",
		`{"name":"a","source":"main","other":1,"Other":{}}`:  "",
		`{"name":"a","source":"main"}`:                       "",
	} {
		got, err := decode[api.BranchCreation]([]byte(body))
		if want == "" && (err != nil || got.Name != "a") || want != "" && (err == nil || err.Error() != want || !fault.Is(err, fault.Invalid)) {
			t.Errorf("%s: %+v, %v, want %q", body, got, err, want)
		}
	}
	_, err := decode[api.ImportPathsCreation]([]byte(`{"paths":[{"type":"object","path":"s3://b/x","destination":"x","Path":"s3://c/"}],"commit":{"message":"m","metadata":{"k":"1","K":"2"}}}`))
	if err == nil || err.Error() != "paths[0].Path: unknown, want path" {
		t.Errorf("a field of an element: %v", err)
	}
	merged, err := decode[api.CommitCreation]([]byte(`{"message":"m","metadata":{"k":"1","K":"2"}}`))
	if err != nil || len(merged.Metadata) != 2 {
		t.Errorf("names that a client chooses: %+v, %v", merged, err)
	}
}
