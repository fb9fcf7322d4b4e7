package server

import (
	"cmp"
	"context"
	"net/http"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/fault"
)

// authorize returns a fault.Denied if the caller may not do what a request asks for, whose body
// has been read. It depends on nothing but the request and the rules, so that the answer tells
// nothing of what exists.
func (c *receiver) authorize(w http.ResponseWriter, r *http.Request, caller access.Caller, in input) error {
	asked, err := in.asks(r)
	noted(w).asked = &asked
	if in.anybody {
		return nil
	}
	operation := operationOf(r.Pattern)
	need, ok := access.NeedOf(operation, asked)
	if c.gate != nil { // that server judges all but the sources
		need, ok = access.NeedOfSources(asked), besideLakeFS[operation]
	}
	switch {
	case !ok:
		return fault.Deny("insufficient permissions: nobody may do this")
	case c.gate != nil && c.grants == nil:
		return nil
	case err != nil:
		return err
	}
	return c.may(r.Context(), caller, need)
}

// may returns a fault.Denied if a caller lacks something of a need. Who needs nothing, is not
// asked about.
func (c *receiver) may(ctx context.Context, caller access.Caller, need access.Need) error {
	if need.IsZero() {
		return nil
	}
	if c.grants == nil {
		return access.Grants{}.Check(need)
	}
	g, err := c.grants(ctx, caller)
	if err != nil {
		return err
	}
	return g.Check(need)
}

// visible returns a function that reports whether a caller may see a result of an operation
// that lists. It is not for callers at a lakeFS server, which itself decides.
func (c *receiver) visible(ctx context.Context, operation string, caller access.Caller) (func(access.Request) bool, error) {
	var g access.Grants
	if c.grants != nil && c.gate == nil {
		var err error
		if g, err = c.grants(ctx, caller); err != nil {
			return nil, err
		}
	}
	return func(r access.Request) bool {
		need, ok := access.NeedOfResult(operation, r)
		return ok && g.Check(need) == nil
	}, nil
}

// requestOf returns what the path and the query of a request name.
func requestOf(r *http.Request) access.Request {
	query := r.URL.Query()
	return access.Request{
		Repository: r.PathValue("repository"),
		Branch:     cmp.Or(r.PathValue("branch"), r.PathValue("destinationBranch"), catalog.RefName(r.PathValue("ref"))),
		Tag:        r.PathValue("tag"),
		Key:        query.Get("path"),
		User:       r.PathValue("userId"),
		Group:      r.PathValue("groupId"),
		Policy:     r.PathValue("policyId"),
		Tree:       query.Has("source_metarange"),
	}
}

// operationIDs are the names of the operations that need credentials, by their routes.
var operationIDs = map[string]string{ //nolint:gosec // names of operations are no credentials
	"POST /repositories/{repository}/branches/{branch}/import":           "importStart",
	"GET /repositories/{repository}/branches/{branch}/import":            "importStatus",
	"DELETE /repositories/{repository}/branches/{branch}/import":         "importCancel",
	"POST /repositories/{repository}/branches/ranges":                    "ingestRange",
	"POST /repositories/{repository}/branches/metaranges":                "createMetaRange",
	"GET /repositories/{repository}/metaranges/{metarange}/verification": "verifyMetaRange",
	"POST /repositories/{repository}/metaranges/{metarange}/comparison":  "compareMetaRange",
	"GET /repositories":                                                          "listRepositories",
	"POST /repositories":                                                         "createRepository",
	"GET /repositories/{repository}":                                             "getRepository",
	"DELETE /repositories/{repository}":                                          "deleteRepository",
	"GET /repositories/{repository}/metadata":                                    "getRepositoryMetadata",
	"POST /repositories/{repository}/metadata":                                   "setRepositoryMetadata",
	"DELETE /repositories/{repository}/metadata":                                 "deleteRepositoryMetadata",
	"POST /repositories/{repository}/dump":                                       "dumpSubmit",
	"GET /repositories/{repository}/dump":                                        "dumpStatus",
	"PUT /repositories/{repository}/refs/dump":                                   "dumpRefs",
	"GET /repositories/{repository}/branches":                                    "listBranches",
	"POST /repositories/{repository}/branches":                                   "createBranch",
	"GET /repositories/{repository}/branches/{branch}":                           "getBranch",
	"DELETE /repositories/{repository}/branches/{branch}":                        "deleteBranch",
	"PUT /repositories/{repository}/branches/{branch}":                           "resetBranch",
	"GET /repositories/{repository}/branches/{branch}/diff":                      "diffBranch",
	"PUT /repositories/{repository}/branches/{branch}/hard_reset":                "hardResetBranch",
	"POST /repositories/{repository}/branches/{branch}/revert":                   "revertBranch",
	"GET /repositories/{repository}/tags":                                        "listTags",
	"POST /repositories/{repository}/tags":                                       "createTag",
	"GET /repositories/{repository}/tags/{tag}":                                  "getTag",
	"DELETE /repositories/{repository}/tags/{tag}":                               "deleteTag",
	"GET /repositories/{repository}/commits/{commitId}":                          "getCommit",
	"POST /repositories/{repository}/branches/{branch}/commits":                  "commit",
	"GET /repositories/{repository}/refs/{ref}/commits":                          "logCommits",
	"POST /repositories/{repository}/refs/{sourceRef}/merge/{destinationBranch}": "mergeIntoBranch",
	"GET /repositories/{repository}/refs/{sourceRef}/merge/{destinationBranch}":  "findMergeBase",
	"GET /repositories/{repository}/refs/{ref}/objects":                          "getObject",
	"HEAD /repositories/{repository}/refs/{ref}/objects":                         "headObject",
	"GET /repositories/{repository}/refs/{leftRef}/diff/{rightRef}":              "diffRefs",
	"GET /repositories/{repository}/refs/{ref}/objects/ls":                       "listObjects",
	"GET /repositories/{repository}/refs/{ref}/objects/stat":                     "statObject",
	"GET /imports":                                          "listImports",
	"POST /sources/trials":                                  "trySource",
	"GET /auth/users":                                       "listUsers",
	"POST /auth/users":                                      "createUser",
	"GET /auth/users/{userId}":                              "getUser",
	"DELETE /auth/users/{userId}":                           "deleteUser",
	"GET /auth/users/{userId}/credentials":                  "listUserCredentials",
	"POST /auth/users/{userId}/credentials":                 "createCredentials",
	"GET /auth/users/{userId}/credentials/{accessKeyId}":    "getCredentials",
	"DELETE /auth/users/{userId}/credentials/{accessKeyId}": "deleteCredentials",
	"GET /auth/users/{userId}/sessions":                     "listUserSessions",
	"DELETE /auth/users/{userId}/sessions":                  "deleteUserSessions",
	"DELETE /auth/users/{userId}/sessions/{sessionId}":      "deleteUserSession",
	"DELETE /auth/signing_keys":                             "deleteSigningKeys",
	"GET /auth/users/{userId}/groups":                       "listUserGroups",
	"GET /auth/users/{userId}/policies":                     "listUserPolicies",
	"GET /auth/groups":                                      "listGroups",
	"GET /auth/groups/{groupId}":                            "getGroup",
	"GET /auth/groups/{groupId}/members":                    "listGroupMembers",
	"GET /auth/groups/{groupId}/policies":                   "listGroupPolicies",
	"GET /auth/policies":                                    "listPolicies",
	"GET /auth/policies/{policyId}":                         "getPolicy",
	"GET /config":                                           "getConfig",
	"GET /config/version":                                   "getLakeFSVersion",
	"GET /config/storage":                                   "getStorageConfig",
	"GET /user":                                             "getCurrentUser",
	"POST /statistics":                                      "postStatsEvents",
}
