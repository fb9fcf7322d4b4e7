package access

import "testing"

func TestARNs(t *testing.T) {
	for _, text := range []string{
		"arn:lakefs:fs:::repository/lake",
		"arn:lakefs:fs:::namespace/s3://b/a:b",
		"arn:lakefs:fs:region:account:*",
		"arn:lakefs:*:::*",
		"arn:lakefs:auth::::",
	} {
		a, err := ParseARN(text)
		if err != nil || a.String() != text {
			t.Errorf("%q reads as %+v, %v", text, a, err)
		}
	}
	for text, want := range map[string]string{
		"":                       "want an ARN of six fields, such as arn:lakefs:fs:::repository/lake",
		"*":                      "want an ARN of six fields, such as arn:lakefs:fs:::repository/lake",
		"arn:lakefs:fs::lake":    "want an ARN of six fields, such as arn:lakefs:fs:::repository/lake",
		"ARN:lakefs:fs:::lake":   "want an ARN, whose first field is arn",
		"arn:aws:s3:::bucket":    "want an ARN of the partition lakefs",
		"arn:*:fs:::lake":        "want an ARN of the partition lakefs",
		"arn:lakefs::::lake":     "want an ARN with a service",
		"arn:lakefs:fs:::":       "want an ARN with a resource",
		" arn:lakefs:fs:::lake ": "want an ARN, whose first field is arn",
	} {
		if a, err := ParseARN(text); err == nil || err.Error() != want || a != (ARN{}) {
			t.Errorf("%q: %+v, %v, want %q", text, a, err, want)
		}
	}
}

func TestARNsMatch(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"arn:lakefs:fs:::repository/*", "arn:lakefs:fs:::repository/lake/branch/main", true},
		{"arn:lakefs:fs:x::repository/lake", "arn:lakefs:fs:y::repository/lake", true},
		{"arn:lakefs:fs::x:repository/lake", "arn:lakefs:fs::y:repository/lake", false},
		{"arn:lakefs:auth:::*", "arn:lakefs:fs:::repository/lake", false},
		{"arn:lakefs:*:::*", "arn:lakefs:fs:::repository/lake", false},
		{"arn:lakefs:fs:::repository/lake", "arn:lakefs:fs:::repository/*", false},
		{"arn:lakefs:fs:::repository/lake", "arn:lakefs:fs:::repository/Lake", false},
	} {
		a, err := ParseARN(tc.a)
		b, err2 := ParseARN(tc.b)
		if err != nil || err2 != nil || a.Matches(b) != tc.want {
			t.Errorf("%s matches %s: %t, %v, %v", tc.a, tc.b, a.Matches(b), err, err2)
		}
	}
}

func FuzzARN(f *testing.F) {
	for _, text := range []string{"arn:lakefs:fs:::repository/lake", "arn:lakefs:fs:a:b:c:d", "arn:lakefs::::x", "*", "arn:aws:s3:::b"} {
		f.Add(text, "arn:lakefs:fs:::repository/x")
	}
	f.Fuzz(func(t *testing.T, text, other string) {
		a, err := ParseARN(text)
		if err != nil {
			return
		}
		if a.String() != text || a.Service == "" || a.Resource == "" {
			t.Errorf("%q reads as %+v, %q", text, a, a)
		}
		everything := ARN{Service: a.Service, Account: a.Account, Resource: "*"}
		if !everything.Matches(a) {
			t.Errorf("%v does not match %v", everything, a)
		}
		if b, err := ParseARN(other); err == nil && a.Matches(b) && !everything.Matches(b) {
			t.Errorf("%v matches %v, which %v does not", a, b, everything)
		}
	})
}
