"""Runs every example of ImportApi.md, and the same calls with the types of the
published client, against a server. Prints one line for each. run.sh documents the
arguments."""

import os
import sys
import time
import traceback

import lakefs_client
from lakefs_client.api import (
    auth_api,
    branches_api,
    import_api,
    objects_api,
    refs_api,
    repositories_api,
)
from lakefs_client.model.branch_creation import BranchCreation
from lakefs_client.model.commit_creation import CommitCreation
from lakefs_client.model.import_creation import ImportCreation
from lakefs_client.model.import_location import ImportLocation
from lakefs_client.model.login_information import LoginInformation
from lakefs_client.model.meta_range_creation import MetaRangeCreation
from lakefs_client.model.repository_creation import RepositoryCreation
from lakefs_client.model.stage_range_creation import StageRangeCreation

import documented

HOST = os.environ["RANGEFLEET_HOST"].rstrip("/") + "/api/v1"
SCHEME = os.environ.get("RANGEFLEET_SCHEME", "basic_auth")  # of the client's five
COOKIE = os.environ.get("RANGEFLEET_COOKIE")  # of oidc_auth and saml_auth, with its name; the others log in with the key
USERNAME = os.environ.get("RANGEFLEET_ACCESS_KEY_ID")
PASSWORD = os.environ.get("RANGEFLEET_SECRET_ACCESS_KEY")
SOURCE = os.environ["RANGEFLEET_SOURCE_URI"]
NAMESPACE = os.environ["RANGEFLEET_NAMESPACE"].rstrip("/")

REPOSITORY = "pyclient-%d-%d" % (time.time(), os.getpid())
PREPEND = "collections/"
METADATA = {"key": "key_example"}
COMPLETION_SECONDS = 120
CANCEL_TRIES = 30


def client(damage=""):
    """Returns a client that shows who it is by the scheme. Damage at its end makes that worthless."""
    configuration = lakefs_client.Configuration(host=HOST)
    if SCHEME == "basic_auth":
        configuration.username, configuration.password = USERNAME, PASSWORD + damage
    elif SCHEME == "jwt_token":
        configuration.access_token = login()[0] + damage
    elif SCHEME == "cookie_auth":
        configuration.api_key[SCHEME] = login()[1] + damage
    else:
        configuration.api_key[SCHEME] = COOKIE + damage
    return lakefs_client.ApiClient(configuration)


def login():
    """Returns a token, and a cookie with its name, which the client sends as it is."""
    with lakefs_client.ApiClient(lakefs_client.Configuration(host=HOST)) as anonymous:
        key = LoginInformation(access_key_id=USERNAME, secret_access_key=PASSWORD)
        answer, code, headers = auth_api.AuthApi(anonymous).login(login_information=key, _return_http_data_only=False)
    equal(code, 200, "code")
    assert answer.token_expiration > time.time(), answer
    return answer.token, headers["Set-Cookie"].partition(";")[0]


def equal(have, want, what):
    assert have == want, "%s: %r, want %r" % (what, have, want)


def refused(code, call, *args, **kwargs):
    """Makes a call that must be answered with the code, and returns the answer's body."""
    try:
        call(*args, **kwargs)
    except lakefs_client.ApiException as e:
        equal(e.status, code, "code of %s" % e.body)
        equal(e.headers.get("Content-Type"), "application/json", "Content-Type")
        return e.body
    raise AssertionError("%s was accepted, want %d" % (call.__name__, code))


def until_ended(status):
    """Polls until the import has ended, and returns the last answer."""
    deadline = time.monotonic() + COMPLETION_SECONDS
    before = None
    while time.monotonic() < deadline:
        now = status()
        if before is not None:
            assert now.update_time >= before.update_time, "update_time went back"
            assert now.ingested_objects >= before.ingested_objects, "ingested_objects fell"
        if now.completed or "error" in now:
            return now
        before = now
        time.sleep(0.1)
    raise AssertionError("the import did not end within %d s: %s" % (COMPLETION_SECONDS, before))


def check_completed(end, message):
    assert end.completed and "error" not in end, end
    assert end.ingested_objects > 0, "nothing was imported from %s" % SOURCE
    equal(end.metarange_id, end.commit.meta_range_id, "metarange_id")
    equal(end.commit.message, message, "message")
    equal(end.commit.metadata["key"], METADATA["key"], "metadata")
    equal(len(end.commit.parents), 1, "parents")


class Examples:
    """Each method is one example. They run in this order and share results."""

    def __init__(self, api_client):
        self.documented = documented.ImportApi(api_client)
        self.published = import_api.ImportApi(api_client)
        self.branches = branches_api.BranchesApi(api_client)
        self.objects = objects_api.ObjectsApi(api_client)
        self.refs = refs_api.RefsApi(api_client)
        self.repositories = repositories_api.RepositoriesApi(api_client)

    def create_repository(self):
        made = self.repositories.create_repository(
            RepositoryCreation(name=REPOSITORY, storage_namespace="%s/%s" % (NAMESPACE, REPOSITORY), default_branch="main")
        )
        equal(made.id, REPOSITORY, "id")
        equal(self.repositories.get_repository(REPOSITORY).default_branch, "main", "default branch")
        names = [r.id for r in self.repositories.list_repositories(prefix=REPOSITORY).results]
        equal(names, [REPOSITORY], "repositories")
        self.empty = self.branches.get_branch(REPOSITORY, "main").commit_id

    def create_branches(self):
        for name in ("cancel", "published"):
            self.branches.create_branch(REPOSITORY, BranchCreation(name=name, source="main"))
        got = {b.id: b.commit_id for b in self.branches.list_branches(REPOSITORY).results}
        equal(got, dict.fromkeys(("main", "cancel", "published"), self.empty), "branches")

    def import_start(self):
        answer, code, headers = self.documented.import_start(
            REPOSITORY,
            "main",
            documented.ImportCreation(
                source_uri=SOURCE,
                prepend=PREPEND,
                commit_message="commit_message_example",
                metadata=METADATA,
            ),
            http_info=True,
        )
        equal(code, 201, "code")
        equal(headers["Content-Type"], "application/json", "Content-Type")
        self.import_id = answer.id

    def import_status(self):
        which = documented.ImportStatus(import_id=self.import_id)
        self.end = until_ended(lambda: self.documented.import_status(REPOSITORY, "main", which))
        check_completed(self.end, "commit_message_example")
        equal(self.end.commit.parents, [self.empty], "parents")
        equal(self.branches.get_branch(REPOSITORY, "main").commit_id, self.end.commit.id, "head")

    def import_cancel(self):
        for _ in range(CANCEL_TRIES):
            head = self.branches.get_branch(REPOSITORY, "cancel").commit_id
            creation = documented.ImportCreation(source_uri=SOURCE, prepend=PREPEND, commit_message="canceled")
            which = documented.ImportStatus(self.documented.import_start(REPOSITORY, "cancel", creation).id)
            try:
                _, code, _ = self.documented.import_cancel(REPOSITORY, "cancel", which, http_info=True)
            except lakefs_client.ApiException as e:
                equal(e.status, 409, "code")  # the import completed first: try again
                until_ended(lambda: self.documented.import_status(REPOSITORY, "cancel", which))
                continue
            equal(code, 204, "code")
            self.documented.import_cancel(REPOSITORY, "cancel", which)
            end = self.documented.import_status(REPOSITORY, "cancel", which)
            equal((end.completed, end.error.message), (False, "import error: Canceled"), "status")
            equal(self.branches.get_branch(REPOSITORY, "cancel").commit_id, head, "head")
            return
        raise AssertionError("%d imports all completed before their cancel" % CANCEL_TRIES)

    def import_cancel_completed(self):
        which = documented.ImportStatus(import_id=self.import_id)
        refused(409, self.documented.import_cancel, REPOSITORY, "main", which)
        refused(409, self.published.import_cancel, REPOSITORY, "main", self.import_id)

    def ingest_range(self):
        self.ranges = []
        token = {}
        while True:
            answer = self.published.ingest_range(
                REPOSITORY,
                StageRangeCreation(
                    from_source_uri=SOURCE,
                    after="",
                    prepend=PREPEND,
                    **token,
                ),
            )
            if "range" in answer:
                self.ranges.append(answer.range)
            if not answer.pagination.has_more:
                break
            token = {"continuation_token": answer.pagination.continuation_token}
        equal(sum(r.count for r in self.ranges), self.end.ingested_objects, "objects of the ranges")

    def create_meta_range(self):
        answer = self.published.create_meta_range(REPOSITORY, MetaRangeCreation(ranges=self.ranges))
        equal(answer.id, self.end.metarange_id, "metarange of the same objects")

    def import_published(self):
        """The same import with the types of the published client gives the same tree."""
        creation = ImportCreation(
            paths=[ImportLocation(type="common_prefix", path=SOURCE, destination=PREPEND)],
            commit=CommitCreation(message="by paths", metadata=METADATA),
        )
        answer, code, _ = self.published.import_start(
            REPOSITORY, "published", creation, _return_http_data_only=False
        )
        equal(code, 202, "code")
        end = until_ended(lambda: self.published.import_status(REPOSITORY, "published", answer.id))
        check_completed(end, "by paths")
        equal(end.metarange_id, self.end.metarange_id, "metarange of the same objects")

    def look_at_it(self):
        log = self.refs.log_commits(REPOSITORY, "main").results
        equal([c.id for c in log], [self.end.commit.id, self.empty], "log")
        top = self.objects.list_objects(REPOSITORY, "main", delimiter="/").results
        equal([(o.path, o.path_type) for o in top], [(PREPEND, "common_prefix")], "top of the branch")
        count, after, last = 0, "", ""
        while True:
            page = self.objects.list_objects(REPOSITORY, "main", prefix=PREPEND, after=after, amount=1000)
            for o in page.results:
                assert o.path.startswith(PREPEND) and o.path.encode() > last.encode(), (last, o.path)
                last = o.path
                count += 1
            # The client encodes keys in queries itself: try some keys of each page.
            for o in page.results[:: max(1, len(page.results) // 5)]:
                equal(self.objects.stat_object(REPOSITORY, "main", o.path), o, "stat")
            if not page.pagination.has_more:
                break
            after = page.pagination.next_offset
        equal(count, self.end.ingested_objects, "objects")

    def bad_requests(self):
        creation = documented.ImportCreation(source_uri=SOURCE, prepend=PREPEND, commit_message="")
        start = self.documented.import_start
        equal(refused(404, start, REPOSITORY, "no-branch", creation), '{"message":"branch not found"}\n', "body")
        equal(refused(404, start, "no-repository", "main", creation), '{"message":"repository not found"}\n', "body")
        assert "source_uri" in refused(400, start, REPOSITORY, "main", {"prepend": PREPEND})
        assert "source_uri" in refused(400, start, REPOSITORY, "main", {**creation, "source_uri": "ftp://host/x"})
        assert "invalid import source" in refused(
            400, start, REPOSITORY, "main", {**creation, "source_uri": "%s/%s/" % (NAMESPACE, REPOSITORY)}
        )
        which = documented.ImportStatus(import_id="unknown")
        equal(refused(404, self.documented.import_status, REPOSITORY, "main", which), '{"message":"not found"}\n', "body")
        which = documented.ImportStatus(import_id=self.import_id)
        refused(404, self.documented.import_status, REPOSITORY, "published", which)
        with client(damage="x") as stranger:
            body = refused(401, documented.ImportApi(stranger).import_start, REPOSITORY, "main", creation)
            equal(body, '{"message":"error authenticating request"}\n', "body")


def main():
    failed = False
    with client() as api_client:
        examples = Examples(api_client)
        for name, example in vars(Examples).items():
            if name.startswith("_"):
                continue
            begin = time.monotonic()
            result = "skip" if failed else "ok  "  # each example needs the results of earlier ones
            try:
                if not failed:
                    example(examples)
            except Exception:
                traceback.print_exc()
                result, failed = "FAIL", True
            print("%s %-24s %6.2f s" % (result, name, time.monotonic() - begin), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
