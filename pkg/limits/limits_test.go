package limits_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/generated"
	"github.com/rangefleet/rangefleet/pkg/fault"
	"github.com/rangefleet/rangefleet/pkg/limits"
)

// limit is one line of docs/limits.md.
type limit struct {
	of   string
	most int
	unit string
	then string // what happens if it is exceeded
}

// all returns every limit.
func all() []limit {
	const invalid = "400"
	return []limit{
		{"key on a branch, destination, `prepend`, query parameter", limits.Key, "bytes", invalid},
		{"key made of a destination and a key of the source", limits.Key, "bytes", "the import fails, with an error that names the key"},
		{"key in the URI of an S3 source", limits.Key, "bytes", invalid},
		{"URI of a source, `after` of a range", limits.URI, "bytes", invalid},
		{"storage namespace", limits.Namespace, "bytes", invalid},
		{"message of a commit", limits.Message, "bytes", invalid},
		{"metadata of a commit: all names and values together", limits.Metadata, "bytes", invalid},
		{"paths of an import", limits.Paths, "", invalid},
		{"paths of an import whose destinations overlap at one key", limits.OpenPaths, "", invalid},
		{"ranges in a request to create a metarange", limits.Ranges, "", invalid},
		{"time to compare these ranges with their files", limits.RangesTime, "seconds", "503, which names how many were compared"},
		{"age of a continuation token of a range", limits.ContinuationTime, "seconds", "400"},
		{"files of ranges that are compared at a time", limits.RangeFiles, "", "the others wait"},
		{"`amount` of results on a page", limits.Results, "", invalid},
		{"commits read for a page of commits", limits.LogWalk, "", "the page ends, with `has_more`"},
		{"objects, and prefixes, of a request for commits", limits.LogPaths, "", invalid},
		{"page of commits: messages and metadata", limits.LogPage, "bytes", "the page ends, with `has_more`"},
		{"name of a user, group or policy", limits.Name, "bytes", "the login or the file of rules is refused"},
		{"issuer of an identity provider", limits.Issuer, "bytes", "the login or the file of rules is refused"},
		{"file of rules of access", limits.AccessFile, "bytes", "it is refused"},
		{"policies in that file; groups, users, mappings; members of a group, policies of a user", limits.AccessItems, "", "it is refused"},
		{"statements of a policy; actions or resources of a statement", limits.Statements, "", "it is refused"},
		{"action or resource of a statement", limits.Pattern, "bytes", "it is refused"},
		{"users", limits.Users, "", "409"},
		{"access keys of a user", limits.AccessKeys, "", "409"},
		{"sessions of a user", limits.Sessions, "", "the oldest one ends"},
		{"JSON Web Token", limits.Token, "bytes", "401"},
		{"code of a login that an identity provider gives a browser", limits.LoginCode, "bytes", invalid},
		{"public keys of an issuer of tokens", limits.KeySet, "bytes", "its tokens cannot be verified"},
		{"response of a SAML identity provider", limits.SAMLResponse, "bytes", "the login fails"},
		{"trials of sources at a time", limits.Trials, "", "429"},
		{"LIST calls of a trial", limits.TrialLists, "", "the trial ends, and its result says so"},
		{"keys that a trial walks", limits.TrialKeys, "", "the trial uses these"},
		{"keys that a trial walks, together", limits.TrialBytes, "bytes", "the trial uses these"},
		{"time of a trial", limits.TrialTime, "seconds", "the trial ends, and its result says so"},
		{"first line and header of a request", limits.Header, "bytes", "431"},
		{"body of a request without valid credentials", limits.AnonymousBody, "bytes", "401"},
		{"body", limits.Body, "bytes", "413"},
		{"memory of all requests together", limits.RequestMemory, "bytes", "the request waits up to five seconds, then 429 with Retry-After"},
		{"scrapes of metrics at a time", limits.Scrapes, "", "503"},
		{"open connections of a process", limits.Connections, "", "the one that has been idle longest is closed"},
		{"requests at a time", limits.Requests, "", "the request waits up to a quarter of a second, then 429 with Retry-After; `/_health`, `/_ready` and `/metrics` are answered"},
		{"requests of logins at an OpenID Connect provider at a time", limits.BrowserLogins, "", "the request waits up to a quarter of a second, then 429 with Retry-After"},
		{"requests that `lakefs.proxy` hands to the lakeFS server at a time", limits.Proxied, "", "429 with Retry-After"},
		{"requests at a time without valid credentials", limits.AnonymousRequests, "", "401, even if they are malformed; a login gets 429 with Retry-After"},
		{"of these, requests of one address", limits.AnonymousShare, "", "the same"},
		{"requests a second of one address that prove no user", limits.FailedLogins, "", fmt.Sprintf("%d at once, then 429 with Retry-After, also for access keys that were not used since the coordinator started", limits.FailedLoginsBurst)},
		{"answers to these that are held back for 0.2 seconds", limits.LingeringRefusals, "", "the others are sent at once"},
		{"requests a second of one user that may change something", limits.Changes, "", fmt.Sprintf("%d at once, then 429 with Retry-After", limits.ChangesBurst)},
		{"body that creates a metarange", limits.RangesBody, "bytes", "413"},
		{"objects whose content is answered at a time", limits.Transfers, "", "the request waits up to five seconds, then 429 with Retry-After"},
		{"part of an object that is read at a time", limits.ContentPart, "bytes", "the object is answered in parts"},
		{"cache of ranges and metaranges for lookups", limits.TableCache, "bytes", "the least recently used part is dropped"},
		{"files of ranges that landings compare with their branches, beside one another", limits.Comparisons, "bytes", "each landing compares one range after another"},
		{"partitions of an import that are listed, whose reports of progress are kept", limits.Listing, "", "the progress of the others is not shown until their ranges are stored"},
		{"partitions of an import that wait, whose numbers of keys are kept", limits.Waiting, "", "the estimate leaves the others out, and may be left out"},
	}
}

func TestDocsAreCurrent(t *testing.T) {
	var b strings.Builder
	b.WriteString("\n| limit of | at most | above it |\n| --- | --- | --- |\n")
	for _, l := range all() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", l.of, amount(l), l.then)
	}
	b.WriteString("\n")
	generated.Part(t, "../../docs/limits.md", b.String())
}

// amount is the limit with its unit. Sizes of keys stay in bytes, as S3 tells them.
func amount(l limit) string {
	most, unit := l.most, l.unit
	if unit == "bytes" && most%(1<<20) == 0 {
		most, unit = most>>20, "MiB"
	} else if unit == "bytes" && most > limits.URI && most%(1<<10) == 0 {
		most, unit = most>>10, "KiB"
	}
	return strings.TrimSpace(fmt.Sprint(most, " ", unit))
}

func TestChecksNameTheFieldAndTheLimit(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want string
	}{
		{limits.Bytes("paths[0].destination", strings.Repeat("x", 5), 5), ""},
		{limits.Bytes("paths[0].destination", strings.Repeat("x", 6), 5), "paths[0].destination: 6 bytes, at most 5 are allowed"},
		{limits.Count("paths", 5, 5), ""},
		{limits.Count("paths", 6, 5), "paths: 6 elements, at most 5 are allowed"},
	} {
		if tc.want == "" && tc.err != nil || tc.want != "" && (!fault.Is(tc.err, fault.Invalid) || tc.err.Error() != tc.want) {
			t.Errorf("%v, want %q", tc.err, tc.want)
		}
	}
}
