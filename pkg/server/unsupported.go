package server

import (
	"context"
	"net/http"
	"strings"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/api"
)

// unsupported is the operations of lakeFS 1.83's API that this server does not have, and why.
// Each has a line: its method, its path and its name, and "open" if it needs no credentials.
// An operation of lakeFS is either in api/openapi.yaml or here: test/lakefsserver compares both
// with lakeFS's schema.
var unsupported = []struct{ why, operations string }{
	{"this server knows other logins: POST /auth/login with an access key", `
		POST   /auth/external/principal/login                       externalPrincipalLogin   open
		POST   /sts/login                                           stsLogin                 open
	`},
	{"this server knows no principals of other systems: create an access key for the user", `
		POST   /auth/users/{userId}/external/principals             createUserExternalPrincipal
		DELETE /auth/users/{userId}/external/principals             deleteUserExternalPrincipal
		GET    /auth/users/{userId}/external/principals/ls          listUserExternalPrincipals
		GET    /auth/external/principals                            getExternalPrincipal
	`},
	{"groups and policies are those of a file of rules: edit access.file", `
		PUT    /auth/users/{userId}/policies/{policyId}             attachPolicyToUser
		DELETE /auth/users/{userId}/policies/{policyId}             detachPolicyFromUser
		POST   /auth/groups                                         createGroup
		DELETE /auth/groups/{groupId}                               deleteGroup
		PUT    /auth/groups/{groupId}/members/{userId}              addGroupMembership
		DELETE /auth/groups/{groupId}/members/{userId}              deleteGroupMembership
		PUT    /auth/groups/{groupId}/policies/{policyId}           attachPolicyToGroup
		DELETE /auth/groups/{groupId}/policies/{policyId}           detachPolicyFromGroup
		POST   /auth/groups/{groupId}/acl                           setGroupACL
		GET    /auth/groups/{groupId}/acl                           getGroupACL
		POST   /auth/policies                                       createPolicy
		PUT    /auth/policies/{policyId}                            updatePolicy
		DELETE /auth/policies/{policyId}                            deletePolicy
	`},
	{"this server is set up before it answers", `
		POST   /setup_comm_prefs                                    setupCommPrefs           open
	`},
	{"this server does not count what it is used for", `
		GET    /usage-report/summary                                getUsageReportSummary
	`},
	{"objects are not written through this server: import them", `
		GET    /repositories/{repository}/branches/{branch}/objects/stage_allowed                                  uploadObjectPreflight
		POST   /repositories/{repository}/branches/{branch}/objects                                                uploadObject
		PUT    /repositories/{repository}/branches/{branch}/objects                                                stageObject
		POST   /repositories/{repository}/branches/{branch}/objects/copy                                           copyObject
		PUT    /repositories/{repository}/branches/{branch}/objects/stat/user_metadata                             updateObjectUserMetadata
		GET    /repositories/{repository}/branches/{branch}/staging/backing                                        getPhysicalAddress
		PUT    /repositories/{repository}/branches/{branch}/staging/backing                                        linkPhysicalAddress
		POST   /repositories/{repository}/branches/{branch}/staging/pmpu                                           createPresignMultipartUpload
		PUT    /repositories/{repository}/branches/{branch}/staging/pmpu/{uploadId}                                completePresignMultipartUpload
		DELETE /repositories/{repository}/branches/{branch}/staging/pmpu/{uploadId}                                abortPresignMultipartUpload
		PUT    /repositories/{repository}/branches/{branch}/staging/pmpu/{uploadId}/parts/{partNumber}             uploadPart
		PUT    /repositories/{repository}/branches/{branch}/staging/pmpu/{uploadId}/parts/{partNumber}/copy        uploadPartCopy
	`},
	{"objects are not removed one by one: an import replaces all keys under its destination", `
		DELETE /repositories/{repository}/branches/{branch}/objects           deleteObject
		POST   /repositories/{repository}/branches/{branch}/objects/delete    deleteObjects
	`},
	{"the object's store is not asked for its properties", `
		GET    /repositories/{repository}/refs/{ref}/objects/underlyingProperties  getUnderlyingProperties
	`},
	{"no lists of symbolic links are written", `
		POST   /repositories/{repository}/refs/{branch}/symlink     createSymlinkFile
	`},
	{"commits are made by import, commit, merge and revert", `
		POST   /repositories/{repository}/commits                              CreateCommitRecord
		POST   /repositories/{repository}/branches/{branch}/cherry-pick        cherryPick
	`},
	{"this server restores no refs: a lakeFS server does", `
		PUT    /repositories/{repository}/refs/restore              restoreRefs
		POST   /repositories/{repository}/restore                   restoreSubmit
		GET    /repositories/{repository}/restore                   restoreStatus
	`},
	{"this server does not hand out files of metadata", `
		GET    /repositories/{repository}/metadata/object/{type}/{object_id}      getMetadataObject
		GET    /repositories/{repository}/metadata/meta_range/{meta_range}        getMetaRange
		GET    /repositories/{repository}/metadata/range/{range}                  getRange
	`},
	{"this server runs no hooks", `
		GET    /repositories/{repository}/actions/runs                                        listRepositoryRuns
		GET    /repositories/{repository}/actions/runs/{run_id}                               getRun
		GET    /repositories/{repository}/actions/runs/{run_id}/hooks                         listRunHooks
		GET    /repositories/{repository}/actions/runs/{run_id}/hooks/{hook_run_id}/output    getRunHookOutput
	`},
	{"this server has no garbage collection: it deletes no files", `
		GET    /config/garbage-collection                                    getGarbageCollectionConfig
		GET    /repositories/{repository}/settings/gc_rules                  getGCRules
		PUT    /repositories/{repository}/settings/gc_rules                  setGCRules
		DELETE /repositories/{repository}/settings/gc_rules                  deleteGCRules
		GET    /repositories/{repository}/gc/rules/set_allowed               setGarbageCollectionRulesPreflight
		GET    /repositories/{repository}/gc/rules                           internalGetGarbageCollectionRules
		POST   /repositories/{repository}/gc/rules                           internalSetGarbageCollectionRules
		DELETE /repositories/{repository}/gc/rules                           internalDeleteGarbageCollectionRules
		POST   /repositories/{repository}/gc/prepare_commits                 prepareGarbageCollectionCommits
		POST   /repositories/{repository}/gc/prepare_commits/async           prepareGarbageCollectionCommitsAsync
		GET    /repositories/{repository}/gc/prepare_commits/status          prepareGarbageCollectionCommitsStatus
		POST   /repositories/{repository}/gc/prepare_uncommited              prepareGarbageCollectionUncommitted
	`},
	{"this server protects no branches", `
		GET    /repositories/{repository}/settings/branch_protection         getBranchProtectionRules
		PUT    /repositories/{repository}/settings/branch_protection         setBranchProtectionRules
		GET    /repositories/{repository}/branch_protection/set_allowed      createBranchProtectionRulePreflight
		GET    /repositories/{repository}/branch_protection                  internalGetBranchProtectionRules
		POST   /repositories/{repository}/branch_protection                  internalCreateBranchProtectionRule
		DELETE /repositories/{repository}/branch_protection                  internalDeleteBranchProtectionRule
	`},
	{"this server has no pull requests: merge the branch", `
		GET    /repositories/{repository}/pulls                              listPullRequests
		POST   /repositories/{repository}/pulls                              createPullRequest
		GET    /repositories/{repository}/pulls/{pull_request}               getPullRequest
		PATCH  /repositories/{repository}/pulls/{pull_request}               updatePullRequest
		PUT    /repositories/{repository}/pulls/{pull_request}/merge         mergePullRequest
	`},
}

// refusal is an operation that is not supported.
type refusal struct {
	method, path, name string
	open               bool // needs no credentials
	message            string
}

// refusals returns the operations of unsupported.
func refusals() (all []refusal) {
	for _, group := range unsupported {
		for line := range strings.Lines(strings.TrimSpace(group.operations)) {
			f := strings.Fields(line)
			all = append(all, refusal{
				method: f[0], path: api.BaseURL + f[1], name: f[2], open: len(f) > 3,
				message: f[2] + " is not supported: " + group.why,
			})
		}
	}
	return all
}

// refuseUnsupported answers requests for the operations of unsupported with 501, which clients
// do not repeat.
func (c *receiver) refuseUnsupported(mux *http.ServeMux) {
	for _, op := range refusals() {
		mux.HandleFunc(op.method+" "+op.path, func(w http.ResponseWriter, r *http.Request) {
			if op.open {
				refuse(w, http.StatusNotImplemented, op.message)
				return
			}
			c.serve(w, r, input{anybody: true}, func(context.Context, access.Caller) (int, any, error) {
				return http.StatusNotImplemented, api.Error{Message: op.message}, nil
			})
		})
	}
}
