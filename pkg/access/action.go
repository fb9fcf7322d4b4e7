package access

import (
	"fmt"
	"slices"
	"strings"
)

// Action is something that is done to a resource: <service>:<name>.
type Action string

// Actions of operations of the API.
const (
	ReadRepository         Action = "fs:ReadRepository"
	CreateRepository       Action = "fs:CreateRepository"
	UpdateRepository       Action = "fs:UpdateRepository"
	DeleteRepository       Action = "fs:DeleteRepository"
	ListRepositories       Action = "fs:ListRepositories"
	AttachStorageNamespace Action = "fs:AttachStorageNamespace"
	ImportFromStorage      Action = "fs:ImportFromStorage"
	ImportCancel           Action = "fs:ImportCancel"
	ReadObject             Action = "fs:ReadObject"
	WriteObject            Action = "fs:WriteObject"
	ListObjects            Action = "fs:ListObjects"
	CreateCommit           Action = "fs:CreateCommit"
	ReadCommit             Action = "fs:ReadCommit"
	ListCommits            Action = "fs:ListCommits"
	CreateBranch           Action = "fs:CreateBranch"
	DeleteBranch           Action = "fs:DeleteBranch"
	ReadBranch             Action = "fs:ReadBranch"
	RevertBranch           Action = "fs:RevertBranch"
	ListBranches           Action = "fs:ListBranches"
	CreateTag              Action = "fs:CreateTag"
	DeleteTag              Action = "fs:DeleteTag"
	ReadTag                Action = "fs:ReadTag"
	ListTags               Action = "fs:ListTags"
	ReadConfig             Action = "fs:ReadConfig"
	CreateMetaRange        Action = "fs:CreateMetaRange" // of lakeFS before 1.49
	ManageImports          Action = "fs:ManageImports"   // of other users; lakeFS does not have it
)

// The actions on users, groups and policies.
//
//nolint:gosec // names of actions are no credentials
const (
	CreateUser        Action = "auth:CreateUser"
	ReadUser          Action = "auth:ReadUser"
	DeleteUser        Action = "auth:DeleteUser"
	ListUsers         Action = "auth:ListUsers"
	CreateCredentials Action = "auth:CreateCredentials"
	ReadCredentials   Action = "auth:ReadCredentials"
	DeleteCredentials Action = "auth:DeleteCredentials"
	ListCredentials   Action = "auth:ListCredentials"
	ReadGroup         Action = "auth:ReadGroup"
	ListGroups        Action = "auth:ListGroups"
	ReadPolicy        Action = "auth:ReadPolicy"
	ListPolicies      Action = "auth:ListPolicies"
)

// known are the actions of all services that a policy may name. Those that no operation needs are
// known for policies that were written for lakeFS.
var known = map[string]string{
	"fs": `AttachStorageNamespace CreateBranch CreateCommit CreateMetaRange CreateRepository CreateTag DeleteBranch
		DeleteObject DeleteRepository DeleteTag ImportCancel ImportFromStorage ListBranches ListCommits ListObjects
		ListRepositories ListTags ManageImports ReadBranch ReadCommit ReadConfig ReadObject ReadRepository ReadTag RevertBranch
		UpdateRepository WriteObject`,
	"auth": `AddGroupMember AttachPolicy CreateCredentials CreateGroup CreatePolicy CreateUser
		CreateUserExternalPrincipal DeleteCredentials DeleteGroup DeletePolicy DeleteUser
		DeleteUserExternalPrincipal DetachPolicy ListCredentials ListGroups ListPolicies ListUsers ReadCredentials
		ReadExternalPrincipal ReadGroup ReadPolicy ReadUser RemoveGroupMember UpdatePolicy`,
	"ci": "ReadAction",
	"retention": `GetGarbageCollectionRules PrepareGarbageCollectionCommits PrepareGarbageCollectionUncommitted
		SetGarbageCollectionRules`,
	"branches": "GetBranchProtectionRules SetBranchProtectionRules",
	"pr":       "ListPullRequests ReadPullRequest WritePullRequest",
	"catalog": `CreateNamespace CreateTable CreateView DeleteNamespace DeleteTable DeleteView GetNamespace
		ListNamespaces ListTables ListViews ReadTable ReadView UpdateNamespace UpdateTable UpdateView`,
}

// checkAction returns an error if the pattern of an action stands for none. A mistyped one in a
// statement that denies would deny nothing.
func checkAction(text string) error {
	service, name, ok := strings.Cut(text, ":")
	if !ok {
		return fmt.Errorf("want <service>:<action>, such as %s or fs:*", ReadObject)
	}
	actions, ok := known[service]
	if !ok {
		return fmt.Errorf("the service %q is unknown", service)
	}
	if !slices.ContainsFunc(strings.Fields(actions), pattern(name).matches) {
		return fmt.Errorf("no action of the service %s matches", service)
	}
	return nil
}
