"""The cases of a generated client, the package lakefs_client or lakefs_sdk: each method for
an operation of repositories, branches, refs, objects, tags, imports and users. The name of the
package is the argument."""

import importlib
import sys
import time

import matrix
from matrix import HELD, MORE, NAMESPACE, SOURCE, NotOffered, case, equal, until

NAME = sys.argv[1]
package = importlib.import_module(NAME)
models = importlib.import_module(NAME + ".models")
apis = importlib.import_module(NAME + (".apis" if NAME == "lakefs_client" else ".api"))
REPOSITORY = NAME.replace("_", "-")

# Each method of these must be called by a case.
COMPLETE = (
    "RepositoriesApi BranchesApi RefsApi CommitsApi TagsApi ObjectsApi StagingApi ImportApi ConfigApi HealthCheckApi MetadataApi AuthApi"
).split()
# Except those of garbage collection, of protected branches and of principals of other systems,
# which are about what this server has not.
EXCEPT = ("_gc_rules", "branch_protection_rule", "garbage_collection", "symlink", "external_principal", "group_acl", "oauth_callback")


class Client:
    """Makes calls by the names of methods, whichever class of the package has them."""

    def __init__(self):
        configuration = package.Configuration(
            host=matrix.HOST + "/api/v1", username=matrix.USERNAME, password=matrix.PASSWORD
        )
        client = package.ApiClient(configuration)
        self.methods, self.left = {}, set()
        for name in dir(apis):
            if not name.endswith("Api"):
                continue
            api = getattr(apis, name)
            for method in vars(api):
                if not method.startswith("_") and not method.endswith("_with_http_info"):
                    self.methods[method] = getattr(api(client), method)
                    if name in COMPLETE and not any(e in method for e in EXCEPT):
                        self.left.add(method)

    def __getattr__(self, method):
        self.left.discard(method)
        if method not in self.methods:
            raise NotOffered(method)
        return self.methods[method]


def model(kind, /, **fields):
    if not hasattr(models, kind):
        raise NotOffered(kind)
    return getattr(models, kind)(**fields)


def text(e):
    """Returns the status and the message of an answer."""
    if not isinstance(e, package.ApiException):
        return None
    body = e.body.decode() if isinstance(e.body, bytes) else e.body or ""
    return ("%d %s" % (e.status, matrix.message(body))).strip()


def content(answer):
    return bytes(answer) if isinstance(answer, (bytes, bytearray)) else answer.read()


def creation(uri, destination="data/", message="import"):
    return model(
        "ImportCreation",
        paths=[model("ImportLocation", type="common_prefix", path=uri, destination=destination)],
        commit=model("CommitCreation", message=message, metadata={"by": NAME}),
    )


def imported(c, branch, uri, destination="data/"):
    """Imports into a branch, and returns the status of the end."""
    started = c.import_start(REPOSITORY, branch, creation(uri, destination)).id
    end = until(lambda: ended(c.import_status(REPOSITORY, branch, started)))
    assert end.completed, end
    return end


def ended(status):
    return status if status.completed or getattr(status, "error", None) else None


def head(c, branch):
    return c.get_branch(REPOSITORY, branch).commit_id


def paths(page):
    return [o.path for o in page.results]


def ids(page):
    return [x.id for x in page.results]


# The server


@case("getConfig")
def get_config(c):
    config = c.get_config()
    equal(config.storage_config.blockstore_type, "s3")
    equal(config.storage_config.import_support, True)
    equal(config.storage_config.pre_sign_support, matrix.LAKEFS)


@case("getStorageConfig")
def get_storage_config(c):
    equal(c.get_storage_config().blockstore_type, "s3")


@case("getLakeFSVersion")
def get_lakefs_version(c):
    assert c.get_lake_fs_version().version


@case("getCurrentUser")
def get_current_user(c):
    assert c.get_current_user().user.id


@case("login")
def login(c):
    token = c.login(login_information=model("LoginInformation", access_key_id=matrix.USERNAME, secret_access_key=matrix.PASSWORD))
    assert token.token and token.token_expiration > time.time()


@case("getSetupState", lakefs=NAME != "lakefs_client")
def get_setup_state(c):
    equal(c.get_setup_state().state, "initialized")


@case("setup", refused="409 lakeFS already initialized")
def setup(c):
    c.setup(model("Setup", username="somebody"))


@case("healthCheck")
def health_check(c):
    c.health_check()


@case("postStatsEvents")
def post_stats_events(c):
    event = {"class": "tests", "name": "matrix", "count": 1}
    if NAME == "lakefs_client":
        event["_class"] = event.pop("class")
        c.post_stats_events(model("StatsEventsList", events=[model("StatsEvent", **event)]))
    else:
        c.post_stats_events(models.StatsEventsList.from_dict({"events": [event]}))


# Repositories


@case("createRepository")
def create_repository(c):
    r = c.create_repository(
        model("RepositoryCreation", name=REPOSITORY, storage_namespace=NAMESPACE, default_branch="main")
    )
    equal((r.id, r.default_branch, r.storage_namespace), (REPOSITORY, "main", NAMESPACE))
    c.base = head(c, "main")


@case("createRepository, bare", refused="400 ")
def create_bare_repository(c):
    c.create_repository(model("RepositoryCreation", name="bare-" + REPOSITORY, storage_namespace=NAMESPACE + "-bare"), bare=True)


@case("createRepository, with samples", refused="400 ")
def create_repository_with_samples(c):
    c.create_repository(
        model("RepositoryCreation", name="samples-" + REPOSITORY, storage_namespace=NAMESPACE + "-samples", sample_data=True)
    )


@case("createRepository, read-only", refused="400 ")
def create_read_only_repository(c):
    c.create_repository(
        model("RepositoryCreation", name="read-only-" + REPOSITORY, storage_namespace=NAMESPACE + "-read-only", read_only=True)
    )


@case("listRepositories")
def list_repositories(c):
    assert REPOSITORY in ids(c.list_repositories(prefix=REPOSITORY))
    if NAME == "lakefs_sdk":
        equal(ids(c.list_repositories(search=REPOSITORY[3:])), [REPOSITORY])


@case("getRepository")
def get_repository(c):
    equal(c.get_repository(REPOSITORY).storage_namespace, NAMESPACE)


@case("setRepositoryMetadata")
def set_repository_metadata(c):
    c.set_repository_metadata(REPOSITORY, model("RepositoryMetadataSet", metadata={"a": "1", "b": "2"}))
    equal(c.get_repository_metadata(REPOSITORY), {"a": "1", "b": "2"})


@case("deleteRepositoryMetadata")
def delete_repository_metadata(c):
    c.delete_repository_metadata(REPOSITORY, model("RepositoryMetadataKeys", keys=["a"]))
    equal(c.get_repository_metadata(REPOSITORY), {"b": "2"})


# Branches


@case("createBranch")
def create_branch(c):
    for name in ("one", "two", "canceled"):
        answer = c.create_branch(REPOSITORY, model("BranchCreation", name=name, source="main"))
        equal(answer, c.base)


@case("createBranch, hidden")
def create_hidden_branch(c):
    c.create_branch(REPOSITORY, model("BranchCreation", name="hidden", source="main", hidden=True))
    equal(ids(c.list_branches(REPOSITORY)), ["canceled", "main", "one", "two"])


@case("listBranches")
def list_branches(c):
    equal(ids(c.list_branches(REPOSITORY, prefix="", after="canceled", amount=2)), ["main", "one"])


@case("getBranch")
def get_branch(c):
    equal(c.get_branch(REPOSITORY, "one").commit_id, c.base)


# Imports


@case("importStart")
def import_start(c):
    c.import_id = c.import_start(REPOSITORY, "main", creation(SOURCE)).id


@case("importStatus")
def import_status(c):
    c.end = until(lambda: ended(c.import_status(REPOSITORY, "main", c.import_id)))
    equal((c.end.completed, c.end.ingested_objects, c.end.commit.parents), (True, 3, [c.base]))
    equal(c.end.commit.metadata["by"], NAME)
    c.imported = c.end.commit.id
    equal(head(c, "main"), c.imported)
    c.last = imported(c, "two", MORE)


@case("importCancel")
def import_cancel(c):
    started = c.import_start(REPOSITORY, "canceled", creation(HELD)).id
    c.import_cancel(REPOSITORY, "canceled", started)
    end = c.import_status(REPOSITORY, "canceled", started)
    equal((end.completed, end.error.message), (False, "import error: Canceled"))
    equal(head(c, "canceled"), c.base)


@case("ingestRange", lakefs=False)
def ingest_range(c):
    answer = c.ingest_range(REPOSITORY, model("StageRangeCreation", from_source_uri=SOURCE, after="", prepend="data/"))
    equal((answer.range.count, answer.pagination.has_more), (3, False))
    c.range = answer.range


@case("createMetaRange", lakefs=False)
def create_meta_range(c):
    answer = c.create_meta_range(REPOSITORY, model("MetaRangeCreation", ranges=[c.range]))
    equal(answer.id, c.end.metarange_id)


@case("getRepositoryMetadata")
def get_repository_metadata(c):
    time = c.get_repository_metadata(REPOSITORY)[".lakefs.last.import.timestamp"]
    equal(time, str(c.last.commit.creation_date))


# Objects


@case("listObjects")
def list_objects(c):
    equal(paths(c.list_objects(REPOSITORY, "main")), ["data/a", "data/b", "data/dir/c"])
    page = c.list_objects(REPOSITORY, "main", prefix="data/", delimiter="/", after="data/a")
    equal([(o.path, o.path_type) for o in page.results], [("data/b", "object"), ("data/dir/", "common_prefix")])


@case("statObject")
def stat_object(c):
    o = c.stat_object(REPOSITORY, "main", "data/a")
    equal((o.path, o.size_bytes, o.content_type), ("data/a", 6, "application/octet-stream"))
    equal(o.metadata if NAME == "lakefs_sdk" else o.metadata.to_dict(), {})


@case("statObject, presigned", refused="400 ")
def stat_object_presigned(c):
    c.stat_object(REPOSITORY, "main", "data/a", presign=True)


@case("getObject", lakefs=NAME != "lakefs_client")
def get_object(c):
    equal(content(c.get_object(REPOSITORY, "main", "data/a")), b"data/a")


@case("getObject, a range", lakefs=NAME != "lakefs_client")
def get_object_range(c):
    equal(content(c.get_object(REPOSITORY, "main", "data/a", range="bytes=1-3")), b"ata")


@case("getObject, presigned", refused="400 ")
def get_object_presigned(c):
    c.get_object(REPOSITORY, "main", "data/a", presign=True)


@case("headObject")
def head_object(c):
    c.head_object(REPOSITORY, "main", "data/a")
    try:
        c.head_object(REPOSITORY, "main", "data/none")
    except package.ApiException as e:
        equal(e.status, 404)


@case("getUnderlyingProperties", refused="501 ")
def get_underlying_properties(c):
    c.get_underlying_properties(REPOSITORY, "main", "data/a")


@case("uploadObject", refused="501 ")
def upload_object(c):
    if NAME == "lakefs_client":
        with open(__file__, "rb") as f:
            c.upload_object(REPOSITORY, "main", "new", content=f)
    else:
        c.upload_object(REPOSITORY, "main", "new", content=__file__)


@case("uploadObject, presigned in parts", refused="501 ")
def upload_in_parts(c):
    c.create_presign_multipart_upload(REPOSITORY, "main", "new", parts=2)


@case("stageObject", refused="501 ")
def stage_object(c):
    c.stage_object(
        REPOSITORY,
        "main",
        "new",
        model("ObjectStageCreation", physical_address=SOURCE + "a", checksum="0", size_bytes=6),
    )


@case("getPhysicalAddress", refused="501 ")
def get_physical_address(c):
    c.get_physical_address(REPOSITORY, "main", "new")


@case("linkPhysicalAddress", refused="501 ")
def link_physical_address(c):
    location = model("StagingLocation", physical_address=SOURCE + "a", **({"token": ""} if NAME == "lakefs_client" else {}))
    c.link_physical_address(
        REPOSITORY, "main", "new", model("StagingMetadata", staging=location, checksum="0", size_bytes=6)
    )


@case("copyObject", refused="501 ")
def copy_object(c):
    c.copy_object(REPOSITORY, "main", "new", model("ObjectCopyCreation", src_path="data/a"))


@case("deleteObject", refused="501 ")
def delete_object(c):
    c.delete_object(REPOSITORY, "main", "data/a")


@case("deleteObjects", refused="501 ")
def delete_objects(c):
    c.delete_objects(REPOSITORY, "main", model("PathList", paths=["data/a"]))


@case("updateObjectUserMetadata", refused="501 ")
def update_object_user_metadata(c):
    c.update_object_user_metadata(REPOSITORY, "main", "data/a", model("UpdateObjectUserMetadata", set={"a": "1"}))


# Metaranges and ranges


@case("getMetaRange", refused="501 ")
def get_meta_range(c):
    c.get_meta_range(REPOSITORY, c.end.metarange_id)


@case("getRange", refused="501 ")
def get_range(c):
    c.get_range(REPOSITORY, c.end.metarange_id)


@case("getMetadataObject", refused="501 ")
def get_metadata_object(c):
    c.get_metadata_object(REPOSITORY, "meta_range", c.end.metarange_id)


# Tags


@case("createTag")
def create_tag(c):
    tag = c.create_tag(REPOSITORY, model("TagCreation", id="v1", ref="main"))
    equal((tag.id, tag.commit_id), ("v1", c.imported))
    try:
        c.create_tag(REPOSITORY, model("TagCreation", id="v1", ref="main"))
    except package.ApiException as e:
        equal(e.status, 409)


@case("listTags")
def list_tags(c):
    equal(ids(c.list_tags(REPOSITORY, prefix="v")), ["v1"])


@case("getTag")
def get_tag(c):
    equal(c.get_tag(REPOSITORY, "v1").commit_id, c.imported)


@case("deleteTag")
def delete_tag(c):
    c.delete_tag(REPOSITORY, "v1")
    equal(ids(c.list_tags(REPOSITORY)), [])


# History


@case("logCommits")
def log_commits(c):
    equal(ids(c.log_commits(REPOSITORY, "main")), [c.imported, c.base])
    equal(ids(c.log_commits(REPOSITORY, "main", amount=1, limit=True)), [c.imported])
    if NAME == "lakefs_sdk":
        equal(ids(c.log_commits(REPOSITORY, "main", first_parent=True, stop_at=c.imported)), [c.imported])


@case("logCommits, by what changed")
def log_commits_by_change(c):
    equal(ids(c.log_commits(REPOSITORY, "main", prefixes=["data/dir/"])), [c.imported])
    equal(ids(c.log_commits(REPOSITORY, "main", objects=["data/a"])), [c.imported])
    equal(ids(c.log_commits(REPOSITORY, "main", objects=["data/none"])), [])


@case("getCommit")
def get_commit(c):
    commit = c.get_commit(REPOSITORY, c.imported)
    equal((commit.id, commit.meta_range_id), (c.imported, c.end.metarange_id))
    equal(c.get_commit(REPOSITORY, "main~1").id, c.base)


@case("diffRefs")
def diff_refs(c):
    page = c.diff_refs(REPOSITORY, "one", "main")
    equal([(d.path, d.type) for d in page.results], [(p, "added") for p in ("data/a", "data/b", "data/dir/c")])
    page = c.diff_refs(REPOSITORY, "main", "one", type="two_dot", delimiter="/")
    equal([(d.path, d.path_type) for d in page.results], [("data/", "common_prefix")])


@case("diffBranch")
def diff_branch(c):
    equal(c.diff_branch(REPOSITORY, "main").results, [])


@case("findMergeBase")
def find_merge_base(c):
    equal(c.find_merge_base(REPOSITORY, "main", "one").base_commit_id, c.base)


@case("mergeIntoBranch")
def merge_into_branch(c):
    merged = c.merge_into_branch(REPOSITORY, "main", "one", merge=model("Merge", message="merge"))
    equal(head(c, "one"), merged.reference)
    equal(paths(c.list_objects(REPOSITORY, "one")), ["data/a", "data/b", "data/dir/c"])


@case("mergeIntoBranch, of branches that diverged", refused="409 ")
def merge_diverged(c):
    c.merge_into_branch(REPOSITORY, "main", "two")


@case("commit, of nothing", refused="400 ")
def commit_nothing(c):
    c.commit(REPOSITORY, "main", model("CommitCreation", message="nothing"))


@case("commit, of nothing, with allow_empty")
def commit_empty(c):
    commit = c.commit(REPOSITORY, "main", model("CommitCreation", message="empty", allow_empty=True))
    equal(commit.parents, [c.imported])
    equal(head(c, "main"), commit.id)


@case("commit, of a metarange")
def commit_metarange(c):
    metarange = c.get_commit(REPOSITORY, "two").meta_range_id
    commit = c.commit(
        REPOSITORY,
        "canceled",
        model("CommitCreation", message="tree", metadata={"by": NAME}),
        source_metarange=metarange,
    )
    equal((commit.meta_range_id, head(c, "canceled")), (metarange, commit.id))


@case("revertBranch")
def revert_branch(c):
    c.revert_branch(REPOSITORY, "two", model("RevertCreation", ref=head(c, "two"), parent_number=0))
    equal(paths(c.list_objects(REPOSITORY, "two")), [])


@case("cherryPick", refused="501 ")
def cherry_pick(c):
    c.cherry_pick(REPOSITORY, "two", model("CherryPickCreation", ref="main"))


@case("resetBranch")
def reset_branch(c):
    before = head(c, "main")
    c.reset_branch(REPOSITORY, "main", model("ResetCreation", type="reset"))
    equal(head(c, "main"), before)


@case("hardResetBranch")
def hard_reset_branch(c):
    c.hard_reset_branch(REPOSITORY, "canceled", c.base)
    equal(head(c, "canceled"), c.base)


# Dumps


@case("dumpSubmit")
def dump_submit(c):
    c.dumped = c.dump_submit(REPOSITORY).id


@case("dumpStatus")
def dump_status(c):
    assert until(lambda: dumped(c.dump_status(REPOSITORY, c.dumped))).commits_meta_range_id


def dumped(status):
    return status.refs if status.done else None


@case("restoreSubmit", refused="501 ")
def restore_submit(c):
    refs = model("RefsRestore", commits_meta_range_id="", tags_meta_range_id="", branches_meta_range_id="")
    c.restore_submit(REPOSITORY, refs)


@case("restoreStatus", refused="501 ")
def restore_status(c):
    c.restore_status(REPOSITORY, "none")


@case("dumpRefs")
def dump_refs(c):
    equal(len(c.dump_refs(REPOSITORY).tags_meta_range_id), 64)


@case("restoreRefs", refused="501 ")
def restore_refs(c):
    c.restore_refs(REPOSITORY, model("RefsDump", commits_meta_range_id="", tags_meta_range_id="", branches_meta_range_id=""))


# Users. A lakeFS server without a server of permissions has only one.

USER = "user-" + REPOSITORY


@case("createUser", lakefs=False)
def create_user(c):
    equal(c.create_user(user_creation=model("UserCreation", id=USER)).id, USER)


@case("getUser", lakefs=False)
def get_user(c):
    equal(c.get_user(USER).id, USER)


@case("listUsers", lakefs=False)
def list_users(c):
    equal(ids(c.list_users(prefix=USER)), [USER])


@case("createCredentials", lakefs=False)
def create_credentials(c):
    c.key = c.create_credentials(USER)
    assert c.key.secret_access_key


@case("getCredentials", lakefs=False)
def get_credentials(c):
    equal(c.get_credentials(USER, c.key.access_key_id).access_key_id, c.key.access_key_id)


@case("listUserCredentials", lakefs=False)
def list_user_credentials(c):
    equal([k.access_key_id for k in c.list_user_credentials(USER).results], [c.key.access_key_id])


@case("listUserGroups", lakefs=False)
def list_user_groups(c):
    equal(ids(c.list_user_groups("admin")), ["Admins"])


@case("listUserPolicies", lakefs=False)
def list_user_policies(c):
    equal(ids(c.list_user_policies("admin", effective=True)), ["AllAccess"])


@case("listGroups", lakefs=False)
def list_groups(c):
    assert "Admins" in ids(c.list_groups())


@case("getGroup", lakefs=False)
def get_group(c):
    equal(c.get_group("Admins").id, "Admins")


@case("listGroupMembers", lakefs=False)
def list_group_members(c):
    equal(ids(c.list_group_members("Admins")), ["admin"])


@case("listGroupPolicies", lakefs=False)
def list_group_policies(c):
    equal(ids(c.list_group_policies("Admins")), ["AllAccess"])


@case("listPolicies", lakefs=False)
def list_policies(c):
    assert "AllAccess" in ids(c.list_policies())


@case("getPolicy", lakefs=False)
def get_policy(c):
    equal(c.get_policy("FSFullAccess").statement[0].action, ["fs:*"])


@case("createGroup", refused="501 ")
def create_group(c):
    c.create_group(group_creation=model("GroupCreation", id="group"))


@case("deleteGroup", refused="501 ")
def delete_group(c):
    c.delete_group("Admins")


@case("addGroupMembership", refused="501 ")
def add_group_membership(c):
    c.add_group_membership("Admins", USER)


@case("deleteGroupMembership", refused="501 ")
def delete_group_membership(c):
    c.delete_group_membership("Admins", "admin")


@case("attachPolicyToUser", refused="501 ")
def attach_policy_to_user(c):
    c.attach_policy_to_user(USER, "AllAccess")


@case("detachPolicyFromUser", refused="501 ")
def detach_policy_from_user(c):
    c.detach_policy_from_user(USER, "AllAccess")


@case("attachPolicyToGroup", refused="501 ")
def attach_policy_to_group(c):
    c.attach_policy_to_group("Admins", "AllAccess")


@case("detachPolicyFromGroup", refused="501 ")
def detach_policy_from_group(c):
    c.detach_policy_from_group("Admins", "AllAccess")


@case("createPolicy", refused="501 ")
def create_policy(c):
    c.create_policy(policy())


@case("updatePolicy", refused="501 ")
def update_policy(c):
    c.update_policy("policy", policy())


@case("deletePolicy", refused="501 ")
def delete_policy(c):
    c.delete_policy("AllAccess")


def policy():
    return model("Policy", id="policy", statement=[model("Statement", effect="allow", resource="*", action=["fs:*"])])


@case("deleteCredentials", lakefs=False)
def delete_credentials(c):
    c.delete_credentials(USER, c.key.access_key_id)
    equal(c.list_user_credentials(USER).results, [])


@case("deleteUser", lakefs=False)
def delete_user(c):
    c.delete_user(USER)
    equal(c.list_users(prefix=USER).results, [])


# What is deleted at the end


@case("deleteBranch")
def delete_branch(c):
    c.delete_branch(REPOSITORY, "two")
    assert "two" not in ids(c.list_branches(REPOSITORY))


@case("deleteRepository")
def delete_repository(c):
    c.delete_repository(REPOSITORY)
    assert REPOSITORY not in ids(c.list_repositories(prefix=REPOSITORY))


if __name__ == "__main__":
    client = Client()
    matrix.run(globals(), client, text)
    if client.left and not matrix.LAKEFS:
        sys.exit("no case calls %s" % ", ".join(sorted(client.left)))
