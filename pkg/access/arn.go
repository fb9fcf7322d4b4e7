package access

import (
	"errors"
	"strings"
)

// ARN names a resource, or resources by a pattern, as lakeFS does:
//
//	arn:lakefs:<service>:<region>:<account>:<resource>
type ARN struct {
	Service  string // never empty
	Region   string
	Account  string
	Resource string // never empty; it may have colons
}

// partition is the second field of every ARN.
const partition = "lakefs"

// ParseARN parses the text of an ARN. Nothing but its form is checked.
func ParseARN(text string) (ARN, error) {
	fields := strings.SplitN(text, ":", 6)
	if len(fields) < 6 {
		return ARN{}, errors.New("want an ARN of six fields, such as arn:lakefs:fs:::repository/lake")
	}
	a := ARN{Service: fields[2], Region: fields[3], Account: fields[4], Resource: fields[5]}
	switch {
	case fields[0] != "arn":
		return ARN{}, errors.New("want an ARN, whose first field is arn")
	case fields[1] != partition:
		return ARN{}, errors.New("want an ARN of the partition " + partition)
	case a.Service == "":
		return ARN{}, errors.New("want an ARN with a service")
	case a.Resource == "":
		return ARN{}, errors.New("want an ARN with a resource")
	}
	return a, nil
}

// String is the inverse of ParseARN.
func (a ARN) String() string {
	return strings.Join([]string{"arn", partition, a.Service, a.Region, a.Account, a.Resource}, ":")
}

// Matches reports whether a, whose resource may have wildcards, stands for b. As in lakeFS,
// regions are not compared, and other fields have no wildcards.
func (a ARN) Matches(b ARN) bool {
	return a.comparable(b) && pattern(a.Resource).matches(b.Resource)
}

// comparable reports whether two ARNs differ at most in their regions and resources.
func (a ARN) comparable(b ARN) bool { return a.Service == b.Service && a.Account == b.Account }
