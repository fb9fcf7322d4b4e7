package lakefsserver_test

// lakectlCommands are the cases of lakectl.
var lakectlCommands = []command{
	{operation: "getConfig", call: "--version", prints: `lakectl version: .*\nlakeFS version: \S+`},
	{operation: "getCurrentUser", call: "identity", prints: "(?i)admin"},

	{operation: "createRepository", call: "repo create", args: "$repo $namespace", prints: "Repository: lakefs://lakectl"},
	{operation: "createRepository, with samples", call: "repo create --sample-data", args: "lakefs://samples-lakectl $namespace-samples", refused: "400 Bad Request"},
	{operation: "createRepository, bare", call: "repo create-bare", args: "lakefs://bare-lakectl $namespace-bare", refused: "400 Bad Request"},
	{operation: "listRepositories", call: "repo list", prints: `\blakectl\b`},
	{operation: "listRepositories", call: "doctor", prints: "Valid configuration"},

	{operation: "createBranch", call: "branch create", args: "$repo/one --source $repo/main", prints: "created branch 'one' [0-9a-f]{64}"},
	{operation: "createBranch", call: "branch create", args: "$repo/two --source $repo/main", prints: "created branch 'two' [0-9a-f]{64}"},
	{operation: "listBranches", call: "branch list", args: "$repo", prints: `main\s+(?P<base>[0-9a-f]{64})(.*\n)*.*one\s+[0-9a-f]{64}`},
	{operation: "getBranch", call: "branch show", args: "$repo/one", prints: "$base"},

	{operation: "importStart; importStatus", call: "import", args: "--no-progress --from $source/data/ --to $repo/main/data/ --message import --meta by=lakectl", prints: `Import of 3 object\(s\) into "main" completed`},

	{operation: "listObjects", call: "fs ls", args: "$repo/main/data/", prints: `object .* a\n.*object .* b\n.*common_prefix .*dir/`},
	{operation: "listObjects", call: "fs ls --recursive", args: "$repo/main/", prints: `data/a\n.*data/b\n.*data/dir/c`},
	{operation: "statObject", call: "fs stat", args: "$repo/main/data/a", prints: `Path: data/a\n(.*\n)*Size: 6 bytes\n(.*\n)*Content-Type: application/octet-stream`},
	{operation: "statObject, presigned", call: "fs presign", args: "$repo/main/data/a", refused: "Pre-signed URL support is currently disabled"},
	{operation: "getObject", call: "fs cat", args: "$repo/main/data/a", prints: "^data/a$", notLakeFS: true},
	{operation: "getObject", call: "fs download", args: "$repo/main/data/a $dir/a", prints: "download", notLakeFS: true},
	{operation: "getObject", call: "local clone", args: "$repo/main/data/ $dir/clone", prints: "Successfully cloned"},
	{operation: "uploadObject", call: "fs upload", args: "--source $file $repo/main/new", refused: "501"},
	{operation: "deleteObject", call: "fs rm", args: "$repo/main/data/a", refused: "501"},

	{operation: "createTag", call: "tag create", args: "$repo/v1 $repo/main", prints: "Created tag 'v1'"},
	{operation: "listTags", call: "tag list", args: "$repo", prints: `v1\s+(?P<imported>[0-9a-f]{64})`},
	{operation: "getTag", call: "tag show", args: "$repo/v1", prints: "v1 [0-9a-f]{64}"},
	{operation: "deleteTag", call: "tag delete", args: "$repo/v1 --yes"},

	{operation: "logCommits", call: "log", args: "$repo/main", prints: "ID: +(?s)$imported.*ID: +$base"},
	{operation: "logCommits", call: "log --first-parent", args: "$repo/main --amount 1 --limit", prints: `$imported`},
	{operation: "logCommits", call: "log --stop-at", args: "$imported $repo/main", prints: "$imported"},
	{operation: "logCommits, by what changed", call: "log --prefixes", args: "data/dir/ $repo/main", prints: "$imported"},
	{operation: "logCommits, by what changed", call: "log --objects", args: "data/none $repo/main", prints: `^\s*$`},
	{operation: "logCommits, by what changed", call: "annotate", args: "$repo/main/data/", prints: `data/b +.* import\n`},
	{operation: "getCommit", call: "show commit", args: "$repo/main~1", prints: "$base"},
	{operation: "diffRefs", call: "diff", args: "$repo/one $repo/main", prints: `\+ added data/a\n.*\+ added data/b\n.*\+ added data/dir/c`},
	{operation: "diffRefs", call: "diff --two-way", args: "$repo/main $repo/one", prints: `- removed data/a`},
	{operation: "diffBranch", call: "diff", args: "$repo/main", prints: "Ref: lakefs://lakectl/main"},

	{operation: "mergeIntoBranch", call: "merge", args: "$repo/main $repo/one", prints: `Merged "main" into "one" to get "[0-9a-f]{64}"`},
	{operation: "commit, of nothing", call: "commit", args: "$repo/two --message nothing", refused: "400 Bad Request"},
	{operation: "commit, of nothing, with allow_empty", call: "commit --allow-empty-commit", args: "$repo/two --message empty", prints: `Commit for branch "two" completed`},
	{operation: "importStart", call: "import", args: "--no-progress --from $source/more/ --to $repo/two/data/", prints: `Import of 1 object`},
	{operation: "mergeIntoBranch, of branches that diverged", call: "merge", args: "$repo/main $repo/two", refused: "Conflict found."},
	{operation: "revertBranch", call: "branch revert", args: "$repo/main $imported --yes", prints: "commit"},
	{operation: "cherryPick", call: "cherry-pick", args: "$repo/$imported $repo/main", refused: "501"},
	{operation: "resetBranch", call: "branch reset", args: "$repo/main --yes"},
	{operation: "dumpSubmit; dumpStatus", call: "refs-dump", args: "$repo", prints: `"commits_meta_range_id": "[0-9a-f]{64}"`},
}

// lakectlUsers are the cases of lakectl about users. A lakeFS server without a server of
// permissions has only one user.
var lakectlUsers = []command{
	{operation: "createUser", call: "auth users create", args: "--id carol", prints: "User created successfully.\nID: carol", notLakeFS: true},
	{operation: "listUsers", call: "auth users list", prints: `\bcarol\b`, notLakeFS: true},
	{operation: "createCredentials", call: "auth users credentials create", args: "--id carol", prints: `Access Key ID: +(?P<key>\S+)\n.*Secret Access Key: +\S+`, notLakeFS: true},
	{operation: "listUserCredentials", call: "auth users credentials list", args: "--id carol", prints: "$key", notLakeFS: true},
	{operation: "listUserGroups", call: "auth users groups list", args: "--id admin", prints: "Admins", notLakeFS: true},
	{operation: "listUserPolicies", call: "auth users policies list", args: "--id admin --effective", prints: "AllAccess", notLakeFS: true},
	{operation: "listGroups", call: "auth groups list", prints: "Admins", notLakeFS: true},
	{operation: "listGroupMembers", call: "auth groups members list", args: "--id Admins", prints: `\badmin\b`, notLakeFS: true},
	{operation: "listGroupPolicies", call: "auth groups policies list", args: "--id Admins", prints: "AllAccess", notLakeFS: true},
	{operation: "listPolicies", call: "auth policies list", prints: "FSReadAll", notLakeFS: true},
	{operation: "getPolicy", call: "auth policies show", args: "--id FSReadAll", prints: `"fs:Read\*"`, notLakeFS: true},
	{operation: "createGroup", call: "auth groups create", args: "--id group", refused: "501"},
	{operation: "deleteGroup", call: "auth groups delete", args: "--id Admins", refused: "501"},
	{operation: "addGroupMembership", call: "auth groups members add", args: "--id Admins --user carol", refused: "501"},
	{operation: "deleteGroupMembership", call: "auth groups members remove", args: "--id Admins --user admin", refused: "501"},
	{operation: "attachPolicyToUser", call: "auth users policies attach", args: "--id carol --policy AllAccess", refused: "501"},
	{operation: "detachPolicyFromUser", call: "auth users policies detach", args: "--id carol --policy AllAccess", refused: "501"},
	{operation: "attachPolicyToGroup", call: "auth groups policies attach", args: "--id Admins --policy AllAccess", refused: "501"},
	{operation: "detachPolicyFromGroup", call: "auth groups policies detach", args: "--id Admins --policy AllAccess", refused: "501"},
	{operation: "createPolicy", call: "auth policies create", args: "--id policy --statement-document $policy", refused: "501"},
	{operation: "deletePolicy", call: "auth policies delete", args: "--id AllAccess", refused: "501"},
	{operation: "deleteCredentials", call: "auth users credentials delete", args: "--id carol --access-key-id $key", prints: "Credentials deleted", notLakeFS: true},
	{operation: "deleteUser", call: "auth users delete", args: "--id carol", prints: "User deleted", notLakeFS: true},
}

// lakectlDeletions are the last cases of lakectl.
var lakectlDeletions = []command{
	{operation: "deleteBranch", call: "branch delete", args: "$repo/two --yes"},
	{operation: "deleteRepository", call: "repo delete", args: "$repo --yes", prints: "Repository: lakefs://lakectl"},
}

// rangectlCommands are the cases of rangectl.
var rangectlCommands = []command{
	{operation: "createRepository", call: "repo create", args: "$repo $namespace"},
	{operation: "listRepositories", call: "repo list", prints: "rangectl"},
	{operation: "getRepository", call: "repo get", args: "$repo", prints: "$namespace"},

	{operation: "createBranch", call: "branch create", args: "$repo/one --source main"},
	{operation: "listBranches", call: "branch list", args: "$repo", prints: `main\s+(?P<base>[0-9a-f]{64})\n.*one\s`},
	{operation: "getBranch", call: "branch get", args: "$repo/one", prints: "$base"},

	{operation: "importStart", call: "import", args: "--from $source/data/ --to $repo/main/data/ --message import --metadata by=rangectl --progress none"},
	{operation: "importStart", call: "import --detach", args: "--from $held --to $repo/main/held/", prints: `(?P<id>[0-9a-z]{20})`},
	{operation: "importStatus", call: "status", args: "$repo/main $id", prints: "running|listing"},
	{operation: "importCancel", call: "cancel", args: "$repo/main $id"},

	{operation: "listObjects", call: "ls", args: "--recursive $repo/main/data/", prints: `data/a\n.*data/b\n.*data/dir/c`},
	{operation: "statObject", call: "stat", args: "$repo/main/data/a", prints: "data/a"},
	{operation: "logCommits", call: "log", args: "$repo/main", prints: "(?P<imported>[0-9a-f]{64})(?s).*$base"},
	{operation: "listImports", call: "imports", args: "$repo --phase completed", prints: "completed +3 "},
	{operation: "trySource", call: "doctor", args: "$source/data/", prints: "Walk +3 keys in 1 page"},
	{operation: "getCommit", call: "inspect", args: "$repo/main --verify", prints: "File of a +metarange\n +ID .*, as its content"},
	{operation: "verifyMetaRange", call: "verify", args: "$repo/main", prints: "Objects +3\n +Faults +0"},
	{operation: "compareMetaRange", call: "verify --from", args: "$source/data/ $repo/main/data/", prints: "Equal +3"},
	{operation: "revertBranch", call: "branch revert", args: "$repo/main $imported"},
	{operation: "hardResetBranch", call: "branch reset", args: "$repo/main $base"},
	{operation: "deleteRepository", call: "repo delete", args: "$repo --yes"},

	{operation: "listUserSessions", call: "auth session ls", args: "admin", prints: `(?P<session>\S+)  internal_auth_session  `},
	{operation: "deleteUserSession", call: "auth session revoke", args: "admin $session"},
	{operation: "deleteUserSessions", call: "auth session revoke --all", args: "admin"},

	{operation: "deleteSigningKeys", call: "auth signing-keys replace", args: "--yes"},

	{operation: "createUser", call: "auth user create", args: "dave", prints: "dave"},
	{operation: "listUsers", call: "auth user ls", prints: "dave"},
	{operation: "createCredentials", call: "auth key create", args: "dave", prints: `(?P<key>RF\w+)`},
	{operation: "listUserCredentials", call: "auth key ls", args: "dave", prints: "$key"},
	{operation: "createCredentials; deleteCredentials", call: "auth key rotate", args: "dave $key", prints: `(?P<next>RF\w+)`},
	{operation: "deleteCredentials", call: "auth key revoke", args: "dave $next"},
	{operation: "deleteUser", call: "auth user delete", args: "dave --yes"},
}
