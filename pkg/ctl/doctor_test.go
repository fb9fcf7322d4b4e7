package ctl

import (
	"maps"
	"strings"
	"testing"
)

func TestDoctor(t *testing.T) {
	const (
		minio   = `"store":"http://minio:9000","known":false,"encodes":true,"listing":{"mode":"walk","why":"the store at http://minio:9000 is not known"},`
		trusted = `"store":"http://minio:9000","known":false,"encodes":true,"listing":{"mode":"parallel","why":"s3.listing is parallel"},`
		ceph    = `"store":"Ceph","known":true,"encodes":true,"listing":{"mode":"parallel","why":"the store is Ceph"},`
		plain   = `"store":"http://fake:9000","known":false,"encodes":false,"listing":{"mode":"walk","why":"s3.listing is walk"},`
		all     = `"walk":{"keys":3100,"pages":4,"complete":true,"repeated":0},`
		part    = `"walk":{"keys":50000,"pages":50,"complete":false,"repeated":0},`
		ended   = `"starts":{"tried":11,"changed":0,"fault":{"after":"events/0001","what":"a key","page_keys":2,"want":"events/0002"}},`
	)
	for _, c := range []struct {
		name, answer string
		code         ExitCode
	}{
		{"fault-of-starts", minio + all + ended, OK},
		{"fault-of-starts-trusted", trusted + all + ended, Wrong},
		{"fault-passed-over", minio + all + `"starts":{"tried":3,"changed":1,"fault":{"after":"a\u001b","what":"a key","want":"b","got":"c"}},`, OK},
		{"fault-invented", minio + all + `"starts":{"tried":3,"changed":0,"fault":{"after":"a","what":"a key","got":"c"}},`, OK},
		{"fault-no-keys", minio + all + `"starts":{"tried":3,"changed":0,"fault":{"after":"a","what":"a key"}},`, OK},
		{"fault-in-words", minio + all + `"starts":{"tried":3,"changed":0,"fault":{"after":"a","what":"a key","message":"key \"a\" is listed after \"b\", out of order"}},`, OK},
		{"fault-of-walk", ceph + `"walk":{"keys":1000,"pages":2,"complete":false,"repeated":0,"fault":"key \"a\" is listed after \"b\", out of order"},"starts":{"tried":0,"changed":0},`, Wrong},
		{"none", ceph + part + `"starts":{"tried":200,"changed":0},`, OK},
		{"none-cut-short", plain + `"walk":{"keys":5000,"pages":6,"complete":true,"repeated":5},"starts":{"tried":20,"changed":2},"cut_short":"the time of a trial is over",`, OK},
		{"nothing-to-try", minio + `"walk":{"keys":0,"pages":1,"complete":true,"repeated":0},"starts":{"tried":0,"changed":0},`, OK},
	} {
		for _, output := range []string{"text", "json"} {
			t.Run(c.name+"/"+output, func(t *testing.T) {
				co := newCoordinator(t, map[string][]string{
					"POST /sources/trials": {`200 {"source":"s3://lake/raw/",` + c.answer + `"lists":61,"seed":7}`},
				})
				m := newMachine(t, co)
				args := []string{"doctor", "s3://lake/raw/", "--seed", "7", "-o", output}
				code := Run(t.Context(), m.system(), args)
				if code != c.code {
					t.Errorf("exit %d, want %d", code, c.code)
				}
				golden(t, "doctor-"+c.name+"."+output, m.transcript(co, code, args...))
			})
		}
	}
}

func TestDoctorWaitsForItsTurn(t *testing.T) {
	co := newCoordinator(t, map[string][]string{
		"POST /sources/trials": {`429 {"message":"2 trials are running, the most at a time: try again"}`, `400 {"message":"source: \"s3://x\" is not allowed"}`},
	})
	m := newMachine(t, co)
	code := Run(t.Context(), m.system(), []string{"doctor", "s3://x"})
	golden(t, "doctor-refused.text", m.transcript(co, code, "doctor", "s3://x"))
	if code != Failed || len(co.seen()) != 2 {
		t.Errorf("exit %d after %d requests, want %d after 2", code, len(co.seen()), Failed)
	}
}

// Without a bucket, doctor checks the settings of a process. TestNATS of pkg/doctor and
// the tests of test/lakefsserver check servers.
func TestDoctorOfSettings(t *testing.T) {
	for _, c := range []struct {
		name string
		env  map[string]string
		args string
		code ExitCode
	}{
		{"settings", map[string]string{"RANGEFLEET_WORKERS": "4", "RANGEFLEET_AUTH_ACCESS_KEY_ID": "AK", "RANGEFLEET_AUTH_SECRET_ACCESS_KEY": "hunter2"}, "", OK},
		{"settings-invalid", map[string]string{"RANGEFLEET_WORKER": "4", "RANGEFLEET_S3_SECRET_ACCESS_KEY": "hunter2"}, "", Wrong},
		{"settings-of-a-worker", nil, " --process worker", Wrong},
	} {
		for _, output := range []string{"text", "json"} {
			t.Run(c.name+"/"+output, func(t *testing.T) {
				co := newCoordinator(t, nil)
				m := newMachine(t, co)
				maps.Copy(m.env, c.env)
				m.env["HOME"] = "/home/op"
				args := strings.Fields("doctor" + c.args + " -o " + output)
				code := Run(t.Context(), m.system(), args)
				if code != c.code || len(co.seen()) > 0 || strings.Contains(m.out.String(), "hunter") {
					t.Errorf("exit %d, want %d; asked %q; showed %s", code, c.code, co.seen(), m.out.String())
				}
				golden(t, "doctor-"+c.name+"."+output, m.transcript(co, code, args...))
			})
		}
	}
}
