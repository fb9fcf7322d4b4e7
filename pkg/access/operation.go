package access

import "fmt"

// Request holds the parts of a request that its needs depend on. An operation ignores parts that
// it has no use for.
type Request struct {
	Repository string
	Branch     string // that is read or written; of a log: the name that the ref starts with
	Tag        string
	Key        string // of an object
	User       string // that is shown, made or deleted, or whose access keys are
	Group      string
	Policy     string
	Namespace  string // of a new repository: the directory that it is
	Paths      []Path // of an import, or of a source that is tested
	// Tree says that a commit gets the tree of a metarange, and so replaces all objects.
	Tree bool
}

// Path is a path of an import.
type Path struct {
	Source      string // URI, in the form in which it is listed
	Destination string // key
	Prefix      bool   // the source is all keys that start with it, not one object
}

// NeedOf returns what a request for an operation needs; ok is false if there is no such operation
// that needs credentials. Operations are named as in api/openapi.yaml.
func NeedOf(operation string, r Request) (n Need, ok bool) {
	o, ok := operations[operation]
	return o.request.of(r), ok
}

// NeedOfResult returns what is needed to see a result of an operation that lists. Repository and
// branch are those of the result.
func NeedOfResult(operation string, r Request) (n Need, ok bool) {
	o, ok := operations[operation]
	return o.result.of(r), ok
}

// NeedOfSources returns what a request needs on its sources alone. Where a lakeFS server keeps
// repositories, it decides about everything else.
func NeedOfSources(r Request) Need { return needs{{ImportFromStorage, onSources}}.of(r) }

// operation is what an operation of the API needs.
type operation struct {
	request needs
	result  needs // to see a result, in a list
}

// needs are actions on places.
type needs []need

type need struct {
	action Action
	on     place
}

func (all needs) of(r Request) (n Need) {
	for _, one := range all {
		for i, resource := range one.on.of(r) {
			p := part{action: one.action, on: resource}
			if one.on.field != nil && len(r.Paths) > 1 {
				p.field = fmt.Sprintf("paths[%d].%s", i, one.on.field(r.Paths[i]))
			}
			n.parts = append(n.parts, p)
		}
	}
	return n
}

// place is what resources a request names.
type place struct {
	name  string // resource of an ARN, for the documentation
	of    func(Request) []Resource
	field func(Path) string // that names the resource in a path, with its value; nil if paths have nothing to do with it
}

func one(name string, of func(Request) Resource) place {
	return place{name: name, of: func(r Request) []Resource { return []Resource{of(r)} }}
}

// paths returns a place that has a resource for every path of an import.
func paths(name string, field func(Path) string, of func(Request, Path) Resource) place {
	return place{name, func(r Request) (all []Resource) {
		for _, p := range r.Paths {
			all = append(all, of(r, p))
		}
		return all
	}, field}
}

var (
	onEverything = one("`*`", func(Request) Resource { return Everything() })
	onAnything   = one("any resource", func(Request) Resource { return Anything() })
	onRepository = one("`arn:lakefs:fs:::repository/R`", func(r Request) Resource { return Repository(r.Repository) })
	onBranch     = one("`arn:lakefs:fs:::repository/R/branch/B`", func(r Request) Resource { return Branch(r.Repository, r.Branch) })
	onTag        = one("`arn:lakefs:fs:::repository/R/tag/T`", func(r Request) Resource { return Tag(r.Repository, r.Tag) })
	onObject     = one("`arn:lakefs:fs:::repository/R/object/KEY`", func(r Request) Resource { return Object(r.Repository, r.Key) })
	onUser       = one("`arn:lakefs:auth:::user/U`", func(r Request) Resource { return User(r.User) })
	onGroup      = one("`arn:lakefs:auth:::group/G`", func(r Request) Resource { return groupResource(r.Group) })
	onPolicy     = one("`arn:lakefs:auth:::policy/P`", func(r Request) Resource { return policyResource(r.Policy) })
	onNamespace  = one("`arn:lakefs:fs:::namespace/URI`", func(r Request) Resource { return storageNamespace(r.Namespace) })

	onSources = paths("`arn:lakefs:fs:::namespace/URI` of each source",
		func(p Path) string { return fmt.Sprintf("path %q", p.Source) },
		func(_ Request, p Path) Resource { return Source(p.Source, p.Prefix) })
	onDestinations = paths("`arn:lakefs:fs:::repository/R/object/KEY` of each destination",
		func(p Path) string { return fmt.Sprintf("destination %q", p.Destination) },
		func(r Request, p Path) Resource { return Destination(r.Repository, p.Destination, p.Prefix) })
	onTree = place{name: "`arn:lakefs:fs:::repository/R/object/` and all below, with `source_metarange`", of: func(r Request) []Resource {
		if !r.Tree {
			return nil
		}
		return []Resource{Destination(r.Repository, "", true)}
	}}
)

// dump is what writing down the branches, tags and commits of a repository needs.
var dump = needs{{ListTags, onRepository}, {ListBranches, onRepository}, {ListCommits, onRepository}}

// operations are those of api/openapi.yaml that need credentials. They need what they need in
// lakeFS, if it has them.
var operations = map[string]operation{
	"importStart":      {request: needs{{WriteObject, onBranch}, {CreateCommit, onBranch}, {ImportFromStorage, onSources}, {WriteObject, onDestinations}}},
	"importStatus":     {request: needs{{ReadBranch, onBranch}}},
	"importCancel":     {request: needs{{ImportCancel, onBranch}}},
	"listImports":      {result: needs{{ReadBranch, onBranch}}},
	"trySource":        {request: needs{{ImportFromStorage, onSources}}},
	"ingestRange":      {request: needs{{ImportFromStorage, onSources}, {WriteObject, onDestinations}}},
	"createMetaRange":  {request: needs{{CreateMetaRange, onRepository}}},
	"verifyMetaRange":  {request: needs{{ListObjects, onRepository}, {ReadRepository, onRepository}}},
	"compareMetaRange": {request: needs{{ListObjects, onRepository}, {ReadRepository, onRepository}, {ImportFromStorage, onSources}}},

	"listRepositories":         {request: needs{{ListRepositories, onAnything}}, result: needs{{ListRepositories, onRepository}}},
	"createRepository":         {request: needs{{CreateRepository, onRepository}, {AttachStorageNamespace, onNamespace}}},
	"getRepository":            {request: needs{{ReadRepository, onRepository}}},
	"deleteRepository":         {request: needs{{DeleteRepository, onRepository}}},
	"getRepositoryMetadata":    {request: needs{{ReadRepository, onRepository}}},
	"setRepositoryMetadata":    {request: needs{{UpdateRepository, onRepository}}},
	"deleteRepositoryMetadata": {request: needs{{UpdateRepository, onRepository}}},

	"dumpSubmit": {request: dump},
	"dumpStatus": {request: dump},
	"dumpRefs":   {request: dump},

	"listBranches":    {request: needs{{ListBranches, onRepository}}},
	"createBranch":    {request: needs{{CreateBranch, onBranch}}},
	"getBranch":       {request: needs{{ReadBranch, onBranch}}},
	"deleteBranch":    {request: needs{{DeleteBranch, onBranch}}},
	"resetBranch":     {request: needs{{RevertBranch, onBranch}}},
	"hardResetBranch": {request: needs{{RevertBranch, onBranch}}},
	"revertBranch":    {request: needs{{RevertBranch, onBranch}}},
	"diffBranch":      {request: needs{{ListObjects, onRepository}}},
	"mergeIntoBranch": {request: needs{{CreateCommit, onBranch}}},
	"findMergeBase":   {request: needs{{ListCommits, onRepository}}},

	"commit":     {request: needs{{CreateCommit, onBranch}, {WriteObject, onTree}}},
	"getCommit":  {request: needs{{ReadCommit, onRepository}}},
	"logCommits": {request: needs{{ReadBranch, onBranch}}},
	"listTags":   {request: needs{{ListTags, onRepository}}},
	"createTag":  {request: needs{{CreateTag, onTag}}},
	"getTag":     {request: needs{{ReadTag, onTag}}},
	"deleteTag":  {request: needs{{DeleteTag, onTag}}},

	"listObjects": {request: needs{{ListObjects, onRepository}}},
	"statObject":  {request: needs{{ReadObject, onObject}}},
	"getObject":   {request: needs{{ReadObject, onObject}}},
	"headObject":  {request: needs{{ReadObject, onObject}}},
	"diffRefs":    {request: needs{{ListObjects, onRepository}}},

	"listUsers":           {request: needs{{ListUsers, onEverything}}},
	"createUser":          {request: needs{{CreateUser, onUser}}},
	"getUser":             {request: needs{{ReadUser, onUser}}},
	"deleteUser":          {request: needs{{DeleteUser, onUser}}},
	"listUserCredentials": {request: needs{{ListCredentials, onUser}}},
	"createCredentials":   {request: needs{{CreateCredentials, onUser}}},
	"getCredentials":      {request: needs{{ReadCredentials, onUser}}},
	"deleteCredentials":   {request: needs{{DeleteCredentials, onUser}}},
	"listUserSessions":    {request: needs{{ListCredentials, onUser}}},
	"deleteUserSessions":  {request: needs{{DeleteCredentials, onUser}}},
	"deleteUserSession":   {request: needs{{DeleteCredentials, onUser}}},
	"deleteSigningKeys":   {request: needs{{DeleteCredentials, onEverything}}},
	"listUserGroups":      {request: needs{{ReadUser, onUser}}},
	"listUserPolicies":    {request: needs{{ReadUser, onUser}}},
	"listGroups":          {request: needs{{ListGroups, onEverything}}},
	"getGroup":            {request: needs{{ReadGroup, onGroup}}},
	"listGroupMembers":    {request: needs{{ReadGroup, onGroup}}},
	"listGroupPolicies":   {request: needs{{ReadGroup, onGroup}}},
	"listPolicies":        {request: needs{{ListPolicies, onEverything}}},
	"getPolicy":           {request: needs{{ReadPolicy, onPolicy}}},

	"getStorageConfig": {request: needs{{ReadConfig, onEverything}}},
	"getConfig":        {},
	"getLakeFSVersion": {},
	"getCurrentUser":   {},
	"postStatsEvents":  {},
}
