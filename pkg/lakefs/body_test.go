package lakefs_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
	"github.com/rangefleet/rangefleet/pkg/ident"
	"github.com/rangefleet/rangefleet/pkg/lakefs"
	"github.com/rangefleet/rangefleet/pkg/landing"
)

// object is a JSON object.
type object = map[string]any

// TestBodies checks what each request says. Only an import that changes nothing may make an empty
// commit: any other merge that is sent twice would land twice. A correction yields to users. A
// merge has the mark by which it is found again.
func TestBodies(t *testing.T) {
	metadata := object{"k": "v", "rangefleet.landing": "rf-x"}
	correction := object{"k": "v", "rangefleet.landing": "rf-x", "rangefleet.corrects": "h"}
	for name, c := range map[string]struct {
		action landing.Action
		want   object
	}{
		"create": {landing.Action{Kind: landing.Create}, object{"name": "rf-x", "source": "h", "hidden": true}},
		"store": {
			landing.Action{Kind: landing.Store},
			object{
				"commit_id": ident.Commit{
					Committer: "account", Message: "m", MetarangeID: "t", Metadata: map[string]string{"k": "v", "rangefleet.landing": "rf-x"}, Parents: []string{"h"},
				}.ID(),
				"version": 1.0, "committer": "account", "message": "m", "metarange_id": "t", "creation_date": 0.0,
				"parents": []any{"h"}, "generation": 8.0, "metadata": metadata,
			},
		},
		"write": {landing.Action{Kind: landing.Write}, object{"message": "m", "metadata": metadata, "allow_empty": true}},
		"merge": {
			landing.Action{Kind: landing.Merge},
			object{"message": "m", "metadata": metadata, "strategy": "source-wins", "squash_merge": true, "allow_empty": false},
		},
		"merge of no change": {
			landing.Action{Kind: landing.Merge, Unchanged: true},
			object{"message": "m", "metadata": metadata, "strategy": "source-wins", "squash_merge": true, "allow_empty": true},
		},
		"merge of a correction": {
			landing.Action{Kind: landing.Merge, Correction: true},
			object{"message": "m", "metadata": correction, "strategy": "dest-wins", "squash_merge": true, "allow_empty": false},
		},
		"fence": {landing.Action{Kind: landing.Fence}, object{"message": "fence of rf-x", "squash_merge": true}},
	} {
		t.Run(name, func(t *testing.T) {
			c.action.Branch, c.action.Base, c.action.Metarange = "rf-x", "h", "t"
			if got := bodyOf(t, c.action); !reflect.DeepEqual(got, c.want) {
				t.Errorf("the body is %v, want %v", got, c.want)
			}
		})
	}
}

// bodyOf returns the body of the request of an action, which is refused. The base of the action
// has the generation 7.
func bodyOf(t *testing.T, a landing.Action) (body object) {
	t.Helper()
	sent := make(chan []byte, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, `{"id":"h","parents":[],"generation":7,"user":{"id":"account"}}`) // the base and the login
			return
		}
		data, _ := io.ReadAll(r.Body) // a part of it does not decode
		sent <- data
		w.WriteHeader(http.StatusBadRequest)
	}))
	t.Cleanup(s.Close)
	server, err := lakefs.Open(lakefs.Config{URL: s.URL, Sleep: noSleep}, lakefs.Keys("key", "secret"))
	expect.NoError(t, err)
	_, err = server.Perform(t.Context(), destination, a)
	expect.NoError(t, err)
	expect.NoError(t, json.Unmarshal(expect.Received(t, "the request", sent), &body))
	return body
}
