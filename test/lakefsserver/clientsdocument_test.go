package lakefsserver_test

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// groups are the rows of the document: operations of the API, some of them with what is
// special in the calls.
var groups = []struct {
	title      string
	operations []string
}{
	{"Server", []string{
		"getConfig", "getStorageConfig", "getLakeFSVersion", "login", "getCurrentUser", "getSetupState", "setup", "healthCheck", "postStatsEvents",
	}},
	{"Repositories", []string{
		"listRepositories", "createRepository", "createRepository, bare", "createRepository, with samples", "createRepository, read-only", "getRepository",
		"getRepositoryMetadata", "setRepositoryMetadata", "deleteRepositoryMetadata", "deleteRepository",
		"dumpSubmit", "dumpStatus", "restoreSubmit", "restoreStatus", "dumpRefs", "restoreRefs",
	}},
	{"Branches", []string{
		"listBranches", "createBranch", "createBranch, hidden", "getBranch", "diffBranch", "resetBranch", "hardResetBranch", "revertBranch", "cherryPick", "deleteBranch",
	}},
	{"Imports", []string{"importStart", "importStatus", "importCancel", "ingestRange", "createMetaRange"}},
	{"Commits and refs", []string{
		"logCommits", "logCommits, by what changed", "getCommit", "commit, of nothing", "commit, of nothing, with allow_empty", "commit, of a metarange",
		"diffRefs", "findMergeBase", "mergeIntoBranch", "mergeIntoBranch, of branches that diverged",
	}},
	{"Tags", []string{"listTags", "createTag", "getTag", "deleteTag"}},
	{"Objects", []string{
		"listObjects", "statObject", "statObject, presigned", "getObject", "getObject, a range", "getObject, presigned", "headObject", "getUnderlyingProperties",
		"uploadObject", "uploadObject, presigned in parts", "stageObject", "getPhysicalAddress", "linkPhysicalAddress",
		"copyObject", "deleteObject", "deleteObjects", "updateObjectUserMetadata",
	}},
	{"Metaranges and ranges", []string{"getMetaRange", "getRange", "getMetadataObject"}},
	{"Users, groups and policies", []string{
		"listUsers", "createUser", "getUser", "deleteUser", "listUserCredentials", "createCredentials", "getCredentials", "deleteCredentials",
		"listUserGroups", "listUserPolicies", "listGroups", "getGroup", "listGroupMembers", "listGroupPolicies", "listPolicies", "getPolicy",
		"createGroup", "deleteGroup", "addGroupMembership", "deleteGroupMembership", "attachPolicyToUser", "detachPolicyFromUser",
		"attachPolicyToGroup", "detachPolicyFromGroup", "createPolicy", "updatePolicy", "deletePolicy",
	}},
	{ownGroup, []string{"listImports", "trySource", "verifyMetaRange", "compareMetaRange", "listUserSessions", "deleteUserSession", "deleteUserSessions", "deleteSigningKeys"}},
}

// ownGroup has the operations that lakeFS's API does not have.
const ownGroup = "Rangefleet's own operations"

const introduction = `# Clients of lakeFS

<!-- Generated from TestClients by "cd test/lakefsserver && go test -run TestClients . -update". -->

These clients were run against a coordinator that has its own catalog, thus without a lakeFS
server. Each row is an operation of lakeFS's API, and in the last table of Rangefleet's. *works*
means that the call did what it does on lakeFS, as far as the client can see. *refused* means
that the coordinator does not have that, and says so; [what the client shows](#what-is-refused)
then has the number. *not offered* means that the client has no call for the operation.

`

// document returns docs/clients.md.
func (s *site) document(t *testing.T, clients []*client) string {
	t.Helper()
	d := document{clients: clients, site: s}
	d.text.WriteString(introduction)
	var known []string
	for _, g := range groups {
		d.table(g.title, g.operations)
		known = append(known, g.operations...)
	}
	for _, c := range clients {
		for _, e := range c.ends {
			if !slices.Contains(known, e.Operation) {
				t.Errorf("no row is for %s of %s", e.Operation, c.name)
			}
		}
	}
	d.text.WriteString("## What is refused\n\nThe clients show:\n\n")
	for i, text := range d.refusals {
		fmt.Fprintf(&d.text, "%d. `%s`\n", i+1, text)
	}
	return d.text.String()
}

// document is a document that is being written.
type document struct {
	clients  []*client
	site     *site
	text     strings.Builder
	refusals []string
}

// table writes a group of operations.
func (d *document) table(title string, operations []string) {
	fmt.Fprintf(&d.text, "## %s\n\n| |", title)
	for _, c := range d.clients {
		fmt.Fprintf(&d.text, " %s |", strings.TrimSpace(c.name+" "+c.version))
	}
	d.text.WriteString("\n| ---" + strings.Repeat(" | ---", len(d.clients)) + " |\n")
	for _, operation := range operations {
		fmt.Fprintf(&d.text, "| %s |", operation)
		for _, c := range d.clients {
			fmt.Fprintf(&d.text, " %s |", d.cell(c, operation))
		}
		d.text.WriteString("\n")
	}
	d.text.WriteString("\n")
}

// cell says how the calls of a client for an operation ended.
func (d *document) cell(c *client, operation string) string {
	var outcomes []string
	calls := map[string][]string{} // by outcome
	for _, e := range c.ends {
		if e.Operation != operation || e.Outcome == notOffered {
			continue
		}
		outcome := d.outcome(e)
		if !slices.Contains(outcomes, outcome) {
			outcomes = append(outcomes, outcome)
		}
		if call := "`" + e.Call + "`"; e.Call != "" && !slices.Contains(calls[outcome], call) {
			calls[outcome] = append(calls[outcome], call)
		}
	}
	for i, outcome := range outcomes {
		if calls[outcome] != nil {
			outcomes[i] += ": " + strings.Join(calls[outcome], ", ")
		}
	}
	return cmp.Or(strings.Join(outcomes, "; "), notOffered)
}

// outcome says how a call ended.
func (d *document) outcome(e end) string {
	if e.Outcome == refused {
		return fmt.Sprintf("refused (%d)", d.refusal(e.Text))
	}
	return e.Outcome
}

// What differs from run to run in the text of a refusal.
var (
	hashes = regexp.MustCompile(`\b[0-9a-f]{64}\b`)
	spaces = regexp.MustCompile(`\s+`)
)

// refusal adds what a client shows, and returns its number.
func (d *document) refusal(text string) int {
	text = hashes.ReplaceAllString(text, "<commit>")
	text = strings.ReplaceAll(text, d.site.namespaces, "s3://bucket")
	text = strings.TrimSpace(spaces.ReplaceAllString(text, " "))
	if i := slices.Index(d.refusals, text); i >= 0 {
		return i + 1
	}
	d.refusals = append(d.refusals, text)
	return len(d.refusals)
}
