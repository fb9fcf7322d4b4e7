package access

// admins is the group that may do everything.
const admins = "Admins"

// allAccess is the policy of admins.
const allAccess = "AllAccess"

// builtIn returns the policies that are always there: those that a new lakeFS server has, under
// their names, and AllAccess.
func builtIn() []Policy {
	everywhere := func(id string, actions ...string) Policy {
		return Policy{id, []Statement{{allow, actions, []string{"*"}}}}
	}
	return []Policy{
		everywhere(allAccess, "fs:*", "auth:*", "ci:*", "retention:*", "branches:*", "pr:*", "catalog:*"),
		everywhere("FSFullAccess", "fs:*"),
		everywhere("FSReadWriteAll", "fs:Read*", "fs:List*", "fs:WriteObject", "fs:DeleteObject", "fs:RevertBranch",
			"fs:CreateBranch", "fs:CreateTag", "fs:DeleteBranch", "fs:DeleteTag", "fs:CreateCommit"),
		everywhere("FSReadAll", "fs:List*", "fs:Read*"),
		everywhere("RepoManagementFullAccess", "ci:*", "retention:*", "branches:*", "pr:*", "fs:ReadConfig"),
		everywhere("RepoManagementReadAll", "ci:Read*", "retention:Get*", "branches:Get*", "pr:Read*", "pr:List*", "fs:ReadConfig"),
		everywhere("PRReadWriteAll", "pr:*"),
		everywhere("CatalogReadAll", "catalog:ListNamespaces", "catalog:GetNamespace", "catalog:ListTables",
			"catalog:ReadTable", "catalog:ListViews", "catalog:ReadView"),
		everywhere("CatalogReadWriteAll", "catalog:*"),
		everywhere("AuthFullAccess", "auth:*"),
		{"AuthManageOwnCredentials", []Statement{{
			Effect:    allow,
			Actions:   []string{"auth:CreateCredentials", "auth:DeleteCredentials", "auth:ListCredentials", "auth:ReadCredentials"},
			Resources: []string{"arn:lakefs:auth:::user/" + userVariable},
		}}},
	}
}
