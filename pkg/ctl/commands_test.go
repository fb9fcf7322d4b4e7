package ctl

import (
	"context"
	"strings"
	"testing"
)

const (
	commitJSON = `{"id":"c2","parents":["c1"],"committer":"joe","message":"nightly","creation_date":1767323045,` +
		`"meta_range_id":"m2","metadata":{"job":"17"},"generation":2,"version":1}`
	runningJSON = `200 {"completed":false,"ingested_objects":1500,"phase":"running","ranges":3,"partitions":2,` +
		`"update_time":"2026-01-02T03:04:05.678Z"}`
	committingJSON = `200 {"completed":false,"ingested_objects":20000,"phase":"committing","ranges":12,"partitions":0,` +
		`"update_time":"2026-01-02T03:04:05Z"}`
	completedJSON = `200 {"completed":true,"ingested_objects":20000,"phase":"completed","ranges":12,"partitions":0,` +
		`"update_time":"2026-01-02T03:04:05Z","metarange_id":"m2",` +
		`"changes":{"added":0,"replaced":20000,"removed":1,"unchanged":0},"commit":` + commitJSON + `}`
	stuckJSON = `200 {"completed":false,"ingested_objects":20000,"phase":"committing","ranges":12,"partitions":0,` +
		`"problem":"store metarange m: no space","update_time":"2026-01-02T03:04:05Z"}`
	previewedJSON = `200 {"completed":false,"ingested_objects":20000,"phase":"previewed","ranges":0,"partitions":0,` +
		`"changes":{"added":15000,"replaced":3,"removed":0,"unchanged":4997},"update_time":"2026-01-02T03:04:05Z"}`
	failedJSON = `200 {"completed":false,"ingested_objects":0,"phase":"failed","ranges":0,"partitions":0,` +
		`"update_time":"2026-01-02T03:04:05Z","error":{"message":"import error: s3://lake: NoSuchBucket: The specified bucket does not exist"}}`
	canceledJSON = `200 {"completed":false,"ingested_objects":1500,"phase":"canceled","ranges":3,"partitions":0,` +
		`"update_time":"2026-01-02T03:04:05Z","error":{"message":"import error: Canceled"}}`

	importURI = "/repositories/demo/branches/main/import"
	statusURI = "GET " + importURI + "?id=i1"
)

// page is the answer of a list.
func page(results ...string) string {
	return `200 {"pagination":{"has_more":false,"next_offset":"","results":0,"max_per_page":1000},"results":[` + strings.Join(results, ",") + `]}`
}

func script() map[string][]string {
	repository := `{"id":"demo","creation_date":1767323045,"default_branch":"main","storage_namespace":"s3://meta/demo"}`
	object := `{"path":"raw/a b.csv","path_type":"object","physical_address":"s3://lake/raw/a b.csv","checksum":"e7ag","mtime":1767323045,"size_bytes":12345}`
	odd := `{"path":"raw/` + `\u001b[31m` + `","path_type":"object","physical_address":"s3://lake/x","checksum":"","mtime":0,"size_bytes":0}`
	prefix := `{"path":"raw/sub/","path_type":"common_prefix","physical_address":"","checksum":"","mtime":0,"size_bytes":0}`
	imported := func(id, phase, more string) string {
		return `{"id":"` + id + `","repository":"demo","branch":"main","phase":"` + phase + `","committer":"joe","source":"s3://lake/raw/","sources":1,` +
			`"creation_date":"2026-01-02T03:04:05Z","update_time":"2026-01-02T03:05:05Z"` + more + `}`
	}
	verified := func(id, fault string) string {
		return `{"id":"` + id + `","min_key":"a","max_key":"b","count":1500,"estimated_size":9` + fault + `}`
	}
	of := func(metarange string) []string {
		return []string{"200 " + strings.Replace(commitJSON, "m2", metarange, 1)}
	}
	keys := "/auth/users/ann/credentials"
	return map[string][]string{
		"POST /auth/users":                                              {`201 {"id":"ann","friendly_name":"ann","creation_date":1767323045}`},
		"GET /auth/users?amount=1000":                                   {page(`{"id":"admin","creation_date":0}`, `{"id":"ann","creation_date":1767323045}`)},
		"DELETE /auth/users/ann":                                        {"204 "},
		"GET /auth/users/ann/sessions":                                  {`200 {"results":[{"id":"S1","kind":"internal_auth_session","access_key_id":"RF1","creation_date":1767323045,"expiration_date":1767351845},{"id":"S2","kind":"oidc_auth_session","creation_date":1767323046,"expiration_date":1767351846}]}`},
		"GET /auth/users/bob/sessions":                                  {`404 {"message":"user not found"}`},
		"DELETE /auth/users/ann/sessions/S1":                            {"204 "},
		"DELETE /auth/users/ann/sessions/gone":                          {`404 {"message":"session not found"}`},
		"DELETE /auth/users/ann/sessions":                               {"204 "},
		"DELETE /auth/signing_keys":                                     {"204 "},
		"DELETE /auth/users/admin":                                      {`409 {"message":"user \"admin\" cannot be deleted"}`},
		"POST " + keys:                                                  {`201 {"access_key_id":"RF2","secret_access_key":"HUSH","creation_date":1767323045}`},
		"POST /auth/users/bob/credentials":                              {cutOff},
		"GET " + keys + "?amount=1000":                                  {page(`{"access_key_id":"RF1","creation_date":0}`, `{"access_key_id":"RF2","creation_date":1767323045}`)},
		"GET " + keys + "/RF1":                                          {`200 {"access_key_id":"RF1","creation_date":0}`},
		"GET " + keys + "/RF3":                                          {`200 {"access_key_id":"RF3","creation_date":0}`},
		"DELETE " + keys + "/RF1":                                       {"204 "},
		"DELETE " + keys + "/RF3":                                       {`503 {"message":"NATS is out of reach, try again (request r1)"}`},
		"GET /repositories/demo/commits/main":                           {"200 " + commitJSON},
		"GET /repositories/demo/commits/bad":                            of("m3"),
		"GET /repositories/demo/commits/damaged":                        of("m4"),
		"GET /repositories/demo/commits/empty":                          of(""),
		"GET /repositories/demo/metaranges/m2/verification?amount=1000": {page(verified("r1", ""), verified("r2", ""))},
		"GET /repositories/demo/metaranges/m3/verification?amount=1000": {page(verified("r1", ""), verified("r2", `,"fault":"read range r2: not found"`))},
		"GET /repositories/demo/metaranges/m4/verification?amount=1000": {`500 {"message":"read metarange m4: corrupt table"}`},
		"POST /repositories/demo/metaranges/m2/comparison": {
			`200 {"since":1772600767,"equal":50000,"missing":1,"extra":0,"changed":1,"later":2,"continuation_token":"t1","differences":[` +
				`{"key":"raw/a","kind":"missing","mtime":1772000000},{"key":"raw/b\u001b","kind":"changed","fields":["size","etag"],"mtime":1772000000}]}`,
			`503 {"message":"source: the store does not answer, try again: reset"}`,
			`200 {"since":1772600767,"equal":7,"missing":0,"extra":2000,"changed":0,"later":0,"differences":[{"key":"raw/z","kind":"extra"}]}`,
		},
		"POST /repositories/demo/metaranges/m3/comparison": {`200 {"since":7,"equal":50000,"missing":0,"extra":0,"changed":0,"later":3,"differences":[]}`},
		"POST /repositories/demo/metaranges/m4/comparison": {`400 {"message":"source: the walk left out s3://lake/raw/a, which is there: bad listing"}`},
		"GET /imports?amount=1000": {page(
			imported("i4", "running", `,"problem":"store away: no answer"`), imported("i3", "completed", `,"ingested_objects":20000,"commit_id":"c2","metarange_id":"m2"`),
			strings.Replace(imported("i2", "failed", `,"ingested_objects":0,"error":{"message":"import error: no such\nbucket"}`), `"sources":1`, `"sources":3`, 1),
		)},
		"GET /imports?after=i4&amount=1&phase=running&phase=committing&repository=demo": {page(imported("i3", "committing", ""))},
		"POST " + importURI: {`202 {"id":"i1"}`},
		statusURI:           {runningJSON, runningJSON, committingJSON, completedJSON},
		"POST /repositories/demo/branches/dry/import":                                         {`202 {"id":"i1"}`},
		"GET /repositories/demo/branches/dry/import?id=i1":                                    {runningJSON, previewedJSON},
		"GET " + importURI + "?id=stuck":                                                      {stuckJSON},
		"GET " + importURI + "?id=marker":                                                     {strings.Replace(runningJSON, `"ranges"`, `"skipped":1,"ranges"`, 1)},
		"DELETE " + importURI + "?id=i1":                                                      {"204 "},
		"GET /repositories/pond/branches/main/import?id=i1":                                   {`404 {"message":"repository not found"}`},
		"DELETE " + importURI + "?id=done":                                                    {`409 {"message":"import is already completed"}`},
		"GET /repositories?amount=1000":                                                       {page(repository, strings.Replace(repository, "demo", "other", 1))},
		"GET /repositories?after=x&amount=1000":                                               {`503 {"message":"NATS is out of reach, try again (request r1)"}`, cutOff, page()},
		"POST /repositories":                                                                  {"201 " + repository},
		"GET /repositories/demo":                                                              {"200 " + repository},
		"DELETE /repositories/demo":                                                           {"204 "},
		"DELETE /repositories/busy":                                                           {`409 {"message":"repository \"busy\" has running imports (1): cancel them or let them end"}`},
		"DELETE /repositories/away":                                                           {`503 {"message":"NATS is out of reach, try again (request r1)"}`},
		"GET /repositories/demo/branches?amount=1000":                                         {page(`{"id":"main","commit_id":"c2"}`, `{"id":"nightly","commit_id":"c1"}`)},
		"POST /repositories/demo/branches":                                                    {`201 c2`},
		"GET /repositories/demo/branches/nightly":                                             {`200 {"id":"nightly","commit_id":"c2"}`, `200 {"id":"nightly","commit_id":"c1"}`},
		"PUT /repositories/demo/branches/nightly/hard_reset?ref=c1":                           {"204 "},
		"PUT /repositories/demo/branches/main/hard_reset?ref=c1":                              {`409 {"message":"branch \"main\" was moved by somebody else"}`},
		"PUT /repositories/demo/branches/main/hard_reset?ref=gone":                            {cutOff},
		"POST /repositories/demo/branches/nightly/revert":                                     {"204 "},
		"POST /repositories/demo/branches/main/revert":                                        {"204 ", `409 {"message":"ref: \"a\" was changed by a later commit, too"}`},
		"GET /repositories/demo/branches/main":                                                {`200 {"id":"main","commit_id":"c2"}`},
		"GET /repositories/demo/refs/main/commits?amount=1000":                                {page(commitJSON, `{"id":"c1","parents":[],"committer":"rangefleet","message":"a\u001b]0;b","creation_date":0,"meta_range_id":"","metadata":{}}`)},
		"GET /repositories/demo/refs/main/objects/ls?amount=1000&delimiter=%2F&prefix=raw%2F": {page(object, odd, prefix)},
		"GET /repositories/demo/refs/main/objects/ls?after=a&amount=2":                        {page(object)},
		"GET /repositories/demo/refs/main/objects/stat?path=raw%2Fa+b.csv":                    {"200 " + object},
	}
}

func TestCommands(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		code ExitCode
	}{
		{"import", []string{"import", "--from", "s3://lake/raw/", "--to", "lakefs://demo/main/raw", "-m", "nightly", "--metadata", "job=17", "--metadata", "by=a,b"}, OK},
		{"import-detach", []string{"import", "--from", "s3://lake/raw/", "--to", "lakefs://demo/main", "--detach"}, OK},
		{"import-allow-empty", []string{"import", "--from", "s3://lake/none/", "--to", "lakefs://demo/main", "--allow-empty", "--detach"}, OK},
		{"status-skipped", []string{"status", "lakefs://demo/main", "marker"}, OK},
		{"import-dry-run", []string{"import", "--from", "s3://lake/raw/", "--to", "lakefs://demo/dry", "--dry-run"}, OK},
		{"import-objects", []string{"import", "--type", "object", "--from", "s3://lake/x/a", "--from", "s3://lake/y/b", "--to", "lakefs://demo/main/d/", "--detach"}, OK},
		{"import-marker", []string{"import", "--type", "object", "--from", "s3://lake/x/dir/", "--to", "lakefs://demo/main/d/", "--detach"}, OK},
		{"imports", []string{"imports"}, OK},
		{"imports-selected", []string{"imports", "lakefs://demo", "--phase", "running", "--phase", "committing", "--after", "i4", "--amount", "1"}, OK},
		{"verify", []string{"verify", "lakefs://demo/main"}, OK},
		{"verify-faults", []string{"verify", "lakefs://demo/bad"}, Wrong},
		{"verify-from", []string{"verify", "lakefs://demo/main/raw/", "--from", "s3://lake/raw/", "--names", "3"}, Wrong},
		{"verify-from-equal", []string{"verify", "lakefs://demo/bad", "--from", "s3://lake/", "--since", "1970-01-01T00:00:07Z"}, OK},
		{"verify-from-unknown", []string{"verify", "lakefs://demo/damaged/raw/", "--from", "s3://lake/raw/"}, Failed},
		{"verify-from-empty", []string{"verify", "lakefs://demo/empty", "--from", "s3://lake/raw/"}, Failed},
		{"verify-damaged", []string{"verify", "lakefs://demo/damaged"}, Failed},
		{"verify-empty", []string{"verify", "lakefs://demo/empty"}, OK},
		{"status", []string{"status", "lakefs://demo/main", "i1"}, OK},
		{"status-watch", []string{"status", "lakefs://demo/main", "i1", "--watch"}, OK},
		{"status-stuck", []string{"status", "lakefs://demo/main", "stuck"}, OK},
		{"status-unknown", []string{"status", "lakefs://demo/main", "nope"}, Failed},
		{"status-unknown-watch", []string{"status", "-w", "lakefs://demo/main", "nope"}, Failed},
		{"status-no-repository", []string{"status", "lakefs://pond/main", "i1"}, Failed},
		{"cancel", []string{"cancel", "lakefs://demo/main", "i1"}, OK},
		{"cancel-completed", []string{"cancel", "lakefs://demo/main", "done"}, Failed},
		{"cancel-unknown", []string{"cancel", "lakefs://demo/main", "nope"}, Failed},
		{"ls", []string{"ls", "lakefs://demo/main/raw/"}, OK},
		{"ls-recursive", []string{"ls", "lakefs://demo/main", "--recursive", "--after", "a", "--amount", "2"}, OK},
		{"ls-no-ref", []string{"ls", "lakefs://demo/gone", "-r"}, Failed},
		{"stat", []string{"stat", "lakefs://demo/main/raw/a b.csv"}, OK},
		{"log", []string{"log", "lakefs://demo/main"}, OK},
		{"repo-create", []string{"repo", "create", "lakefs://demo", "s3://meta/demo"}, OK},
		{"repo-list", []string{"repo", "list"}, OK},
		{"repo-list-outage", []string{"repo", "list", "--after", "x"}, OK},
		{"repo-get", []string{"repo", "get", "demo"}, OK},
		{"repo-delete", []string{"repo", "delete", "lakefs://demo", "--yes"}, OK},
		{"repo-delete-busy", []string{"repo", "delete", "busy", "--yes"}, Failed},
		{"repo-delete-outage", []string{"repo", "delete", "away", "--yes"}, Unknown},
		{"branch-create", []string{"branch", "create", "lakefs://demo/nightly", "--source", "main"}, OK},
		{"branch-list", []string{"branch", "list", "lakefs://demo"}, OK},
		{"branch-reset", []string{"branch", "reset", "lakefs://demo/nightly", "c1"}, OK},
		{"branch-reset-conflict", []string{"branch", "reset", "lakefs://demo/main", "c1"}, Failed},
		{"branch-reset-unknown", []string{"branch", "move-to-commit", "lakefs://demo/main", "gone"}, Unknown},
		{"branch-revert", []string{"branch", "revert", "lakefs://demo/nightly", "c2", "-m", "1"}, OK},
		{"branch-revert-conflict", []string{"branch", "revert", "lakefs://demo/main", "c2", "c1"}, Failed},
		{"branch-get", []string{"branch", "get", "lakefs://demo/main"}, OK},
		{"auth-user-create", []string{"auth", "user", "create", "ann"}, OK},
		{"auth-user-ls", []string{"auth", "user", "ls"}, OK},
		{"auth-user-delete", []string{"auth", "user", "delete", "ann", "--yes"}, OK},
		{"auth-user-delete-admin", []string{"auth", "user", "delete", "admin", "--yes"}, Failed},
		{"auth-key-create", []string{"auth", "key", "create", "ann"}, OK},
		{"auth-key-create-outage", []string{"auth", "key", "create", "bob"}, Unknown},
		{"auth-key-ls", []string{"auth", "key", "ls", "ann"}, OK},
		{"auth-key-rotate", []string{"auth", "key", "rotate", "ann", "RF1"}, OK},
		{"auth-key-rotate-unknown", []string{"auth", "key", "rotate", "ann", "gone"}, Failed},
		{"auth-key-rotate-outage", []string{"auth", "key", "rotate", "ann", "RF3"}, Unknown},
		{"auth-key-revoke", []string{"auth", "key", "revoke", "ann", "RF1"}, OK},
		{"auth-key-revoke-unknown", []string{"auth", "key", "revoke", "ann", "gone"}, Failed},
		{"auth-session-ls", []string{"auth", "session", "ls", "ann"}, OK},
		{"auth-session-ls-unknown", []string{"auth", "session", "ls", "bob"}, Failed},
		{"auth-session-revoke", []string{"auth", "session", "revoke", "ann", "S1"}, OK},
		{"auth-session-revoke-unknown", []string{"auth", "session", "revoke", "ann", "gone"}, Failed},
		{"auth-session-revoke-all", []string{"auth", "session", "revoke", "ann", "--all"}, OK},
		{"auth-signing-keys-replace", []string{"auth", "signing-keys", "replace", "--yes"}, OK},
	} {
		for _, output := range []string{"text", "json"} {
			t.Run(c.name+"/"+output, func(t *testing.T) {
				co := newCoordinator(t, script())
				m := newMachine(t, co)
				args := c.args
				if output == "json" {
					args = append(args[:len(args):len(args)], "-o", "json")
				}
				code := Run(context.Background(), m.system(), args)
				if code != c.code {
					t.Errorf("exit %d, want %d", code, c.code)
				}
				golden(t, c.name+"."+output, m.transcript(co, code, args...))
			})
		}
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"nope", `unknown command "nope" for "rangectl"`},
		{"repo nope", `unknown command "nope" for "rangectl repo"`},
		{"ls", `want lakefs://repository/ref[/prefix] after "rangectl ls", got 0 arguments`},
		{"ls --nope x", "unknown flag: --nope"},
		{"doctor lakefs://demo/main", `"lakefs://demo/main": want s3://bucket, or with a prefix of keys after it`},
		{"doctor --process x", `--process "x": want coordinator or worker`},
		{"doctor --namespace local:///x", `--namespace "local:///x": want s3://bucket, or with a path after it`},
		{"ls s3://b/x", `"s3://b/x": want lakefs://repository/branch, or with a path after it`},
		{"log lakefs://demo/main/x", `"lakefs://demo/main/x": want lakefs://repository/branch, without a path`},
		{"verify lakefs://demo/main/raw/", `"lakefs://demo/main/raw/": only a comparison (--from) takes a path`},
		{"verify lakefs://demo/main --since 2026-01-02T03:04:05Z", "--since needs --from"},
		{"verify lakefs://demo/main --from s3://b/ --since yesterday", `--since "yesterday": want a time such as 2026-01-31T12:00:00Z`},
		{"verify lakefs://demo/main --from s3://b/ --names -1", "--names -1: want 0 or more"},
		{"verify lakefs://demo/main --from gs://b/", `--from: "gs://b/" has the unknown scheme "gs": want s3 or local`},
		{"verify lakefs://demo/main --progress loud", `--progress "loud": want auto, tty, plain, json or none`},
		{"stat lakefs://demo/main", `"lakefs://demo/main": want lakefs://repository/ref/path`},
		{"imports --phase done", `--phase "done": want running, committing, completed, failed, canceled or previewed`},
		{"imports lakefs://demo/main", `"lakefs://demo/main": want lakefs://repository`},
		{"repo get a/b", `"a/b": want lakefs://repository`},
		{"repo delete lakefs://demo", `repository "demo" would be deleted for good: add --yes`},
		{"auth user delete ann", `user "ann" would be deleted for good: add --yes`},
		{"auth user create", `want USER after "rangectl auth user create", got 0 arguments`},
		{"auth key rotate ann", `want USER KEY after "rangectl auth key rotate", got 1 argument`},
		{"auth session revoke ann", "want either a session or --all"},
		{"auth session revoke ann S1 --all", "want either a session or --all"},
		{"auth signing-keys replace", "all tokens of logins would end: add --yes"},
		{"repo list -o xml", `--output "xml": want text or json`},
		{"import --to lakefs://a/b", `"rangectl import" needs --from`},
		{"import --from gs://x/ --to lakefs://a/b", `--from: "gs://x/" has the unknown scheme "gs": want s3 or local`},
		{"import --from s3://x/ --to lakefs://a", `"lakefs://a": want lakefs://repository/branch, or with a path after it`},
		{"import --from s3://x/ --to lakefs://a/b --type dir", `--type "dir": want common_prefix or object`},
		{"import --from s3://x/1 --from s3://x/2 --to lakefs://a/b/c --type object", "--to: several objects need a destination that ends in '/'"},
		{"import --from s3://x/ --to lakefs://a/b --type object", `--from: "s3://x/" names no object`},
		{"import --from s3://x/ --to lakefs://a/b --metadata k", `--metadata "k": want key=value`},
		{"import --from s3://x/ --to lakefs://a/b --progress loud", `--progress "loud": want auto, tty, plain, json or none`},
		{"import --from s3://x/ --to lakefs://a/b -q --progress plain", "--quiet and --progress: set one of them"},
		{"repo list --endpoint localhost:8000", `endpoint "localhost:8000": want http://host:port or https://host:port`},
	} {
		t.Run(c.args, func(t *testing.T) {
			co := newCoordinator(t, nil)
			m := newMachine(t, co)
			if code := Run(context.Background(), m.system(), strings.Fields(c.args)); code != Usage {
				t.Errorf("exit %d, want %d", code, Usage)
			}
			if first, _, _ := strings.Cut(m.err.String(), "\n"); first != "rangectl: "+c.want {
				t.Errorf("said %q, want %q", first, "rangectl: "+c.want)
			}
			if len(co.seen()) > 0 || m.out.Len() > 0 {
				t.Errorf("asked %q, wrote %q", co.seen(), m.out.String())
			}
		})
	}
}
