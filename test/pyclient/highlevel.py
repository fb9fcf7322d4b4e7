"""The cases of the package lakefs, the client in terms of repositories, branches and objects."""

from datetime import timedelta

import lakefs
from lakefs.client import Client
from lakefs.exceptions import ServerException

import matrix
from matrix import HELD, MORE, NAMESPACE, SOURCE, case, equal

REPOSITORY = "lakefs"


class State:
    def __init__(self):
        self.client = Client(host=matrix.HOST, username=matrix.USERNAME, password=matrix.PASSWORD)
        self.repository = lakefs.Repository(REPOSITORY, client=self.client)
        self.main = self.repository.branch("main")


def text(e):
    """Returns the type of an exception and the message of the answer."""
    while e is not None and not isinstance(e, ServerException):
        e = e.__cause__
    if e is None:
        return None
    return "%s: %s %s" % (type(e).__name__, e.status_code, e.body.get("message", e.reason))


def imported(branch, uri):
    return branch.import_data("import", {"by": "lakefs"}).prefix(uri, "data/").run(timedelta(seconds=0.1))


def paths(ref):
    return [o.path for o in ref.objects()]


def ids(things):
    return [t.id for t in things]


@case("getConfig", "Client.version, storage_config")
def version(s):
    assert s.client.version
    equal(s.client.storage_config.import_support, True)


@case("createRepository", "Repository.create")
def create_repository(s):
    s.repository.create(NAMESPACE)
    s.base = s.main.head.id


@case("createRepository, with samples", "Repository.create(include_samples=True)", refused="BadRequestException: 400 ")
def create_with_samples(s):
    lakefs.Repository("samples-lakefs", client=s.client).create(NAMESPACE + "-samples", include_samples=True)


@case("createRepository, bare", "Repository.create(bare=True)", refused="BadRequestException: 400 ")
def create_bare(s):
    lakefs.Repository("bare-lakefs", client=s.client).create(NAMESPACE + "-bare", bare=True)


@case("listRepositories", "repositories")
def list_repositories(s):
    assert REPOSITORY in ids(lakefs.repositories(client=s.client, prefix=REPOSITORY))


@case("getRepository", "Repository.properties")
def get_repository(s):
    again = lakefs.Repository(REPOSITORY, client=s.client)
    equal(again.properties.storage_namespace, NAMESPACE)


@case("createBranch", "Branch.create")
def create_branch(s):
    for name in ("one", "two", "canceled"):
        s.repository.branch(name).create("main")


@case("createBranch, hidden", "Branch.create(hidden=True)")
def create_hidden_branch(s):
    s.repository.branch("hidden").create("main", hidden=True)
    equal(ids(s.repository.branches()), ["canceled", "main", "one", "two"])


@case("listBranches", "Repository.branches")
def list_branches(s):
    equal(ids(s.repository.branches(max_amount=2, after="canceled")), ["main", "one"])


@case("getBranch", "Branch.head")
def get_branch(s):
    equal(s.repository.branch("one").head.id, s.base)


@case("importStart", "ImportManager.run")
def import_start(s):
    s.end = imported(s.main, SOURCE)
    equal((s.end.completed, s.end.ingested_objects, s.end.commit.parents), (True, 3, [s.base]))
    s.imported = s.main.head.id
    equal(s.imported, s.end.commit.id)
    s.last = imported(s.repository.branch("two"), MORE)


@case("importStatus", "ImportManager.status")
def import_status(s):
    manager = s.repository.branch("canceled").import_data("import").prefix(HELD, "data/")
    manager.start()
    equal((manager.status().completed, manager.status().error), (False, None))
    s.held = manager


@case("importCancel", "ImportManager.cancel")
def import_cancel(s):
    s.held.cancel()
    equal(s.held.status().error.message, "import error: Canceled")
    equal(s.repository.branch("canceled").head.id, s.base)


@case("getRepositoryMetadata", "Repository.metadata")
def metadata(s):
    equal(s.repository.metadata, {".lakefs.last.import.timestamp": str(s.last.commit.creation_date)})


@case("listObjects", "Reference.objects")
def list_objects(s):
    equal(paths(s.main), ["data/a", "data/b", "data/dir/c"])
    equal([o.path for o in s.main.objects(prefix="data/", delimiter="/", after="data/a")], ["data/b", "data/dir/"])


@case("statObject", "StoredObject.stat")
def stat_object(s):
    stat = s.main.object("data/a").stat()
    equal((stat.size_bytes, stat.content_type, stat.metadata), (6, "application/octet-stream", {}))


@case("statObject, presigned", "StoredObject.stat(pre_sign=True)", refused="BadRequestException: 400 ")
def stat_object_presigned(s):
    s.main.object("data/a").stat(pre_sign=True)


@case("getObject", "StoredObject.reader")
def get_object(s):
    with s.main.object("data/a").reader() as r:
        equal(r.read(), b"data/a")


@case("getObject, a range", "ObjectReader.seek, read")
def get_object_range(s):
    with s.main.object("data/a").reader(mode="r") as r:
        r.seek(1)
        equal(r.read(3), "ata")


@case("headObject", "StoredObject.exists")
def exists(s):
    equal([s.main.object("data/" + name).exists() for name in ("a", "none")], [True, False])


@case("uploadObject", "WriteableObject.upload", refused="501 ")
def upload(s):
    s.main.object("new").upload(b"new")


@case("copyObject", "StoredObject.copy", refused="501 ")
def copy(s):
    s.main.object("data/a").copy("main", "new")


@case("deleteObject", "WriteableObject.delete", refused="501 ")
def delete_object(s):
    s.main.object("data/a").delete()


@case("deleteObjects", "Branch.delete_objects", refused="501 ")
def delete_objects(s):
    s.main.delete_objects(["data/a"])


@case("createTag", "Tag.create")
def create_tag(s):
    equal(s.repository.tag("v1").create("main").get_commit().id, s.imported)
    s.repository.tag("v1").create("main", exist_ok=True)


@case("listTags", "Repository.tags")
def list_tags(s):
    equal(ids(s.repository.tags()), ["v1"])


@case("deleteTag", "Tag.delete")
def delete_tag(s):
    s.repository.tag("v1").delete()
    equal(ids(s.repository.tags()), [])


@case("logCommits", "Reference.log")
def log(s):
    equal(ids(s.main.log()), [s.imported, s.base])
    equal(ids(s.main.log(max_amount=1)), [s.imported])


@case("logCommits, by what changed", "Reference.log(prefixes=..., objects=...)")
def log_by_change(s):
    equal(ids(s.main.log(prefixes=["data/dir/"])), [s.imported])
    equal(ids(s.main.log(objects=["data/none"])), [])


@case("getCommit", "Reference.get_commit")
def get_commit(s):
    equal(s.main.get_commit().id, s.imported)
    equal(s.repository.ref("main~1").get_commit().id, s.base)


@case("diffRefs", "Reference.diff")
def diff(s):
    changes = s.repository.ref("one").diff("main")
    equal([(d.path, d.type) for d in changes], [(p, "added") for p in ("data/a", "data/b", "data/dir/c")])


@case("diffBranch", "Branch.uncommitted")
def uncommitted(s):
    equal(list(s.main.uncommitted()), [])


@case("mergeIntoBranch", "Reference.merge_into")
def merge_into(s):
    one = s.repository.branch("one")
    equal(s.main.merge_into(one), one.head.id)
    equal(paths(one), ["data/a", "data/b", "data/dir/c"])


@case("mergeIntoBranch, of branches that diverged", "Reference.merge_into", refused="ConflictException: 409 ")
def merge_diverged(s):
    s.main.merge_into("two")


@case("commit, of nothing", "Branch.commit", refused="BadRequestException: 400 ")
def commit_nothing(s):
    s.main.commit("nothing")


@case("commit, of nothing, with allow_empty", "Branch.commit(allow_empty=True)")
def commit_empty(s):
    commit = s.main.commit("empty", allow_empty=True).get_commit()
    equal((commit.parents, s.main.head.id), ([s.imported], commit.id))


@case("revertBranch", "Branch.revert")
def revert(s):
    two = s.repository.branch("two")
    two.revert(two.head)
    equal(paths(two), [])


@case("cherryPick", "Branch.cherry_pick", refused="501 ")
def cherry_pick(s):
    s.repository.branch("two").cherry_pick("one")


@case("resetBranch", "Branch.reset_changes")
def reset_changes(s):
    before = s.main.head.id
    s.main.reset_changes()
    equal(s.main.head.id, before)


@case("deleteBranch", "Branch.delete")
def delete_branch(s):
    s.repository.branch("two").delete()
    assert "two" not in ids(s.repository.branches())


@case("deleteRepository", "Repository.delete")
def delete_repository(s):
    s.repository.delete()
    assert REPOSITORY not in ids(lakefs.repositories(client=s.client))


if __name__ == "__main__":
    matrix.run(globals(), State(), text)
