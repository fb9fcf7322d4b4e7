"""The import operations as ImportApi.md documents them.

No release on PyPI has that document's ImportCreation(source_uri, ...) and
ImportStatus(import_id). 0.100.0 has no import operations, and 0.101.0 has those of
lakeFS 1.x (paths and commit; the id in the query). So this module defines the two
models. It sends them through the client's own ApiClient, with its authentication,
transport, errors and answer types.
"""

import json
from types import SimpleNamespace

from lakefs_client.api.import_api import ImportApi as PublishedImportApi
from lakefs_client.model.import_creation_response import ImportCreationResponse
from lakefs_client.model.import_status_resp import ImportStatusResp

PATH = "/repositories/{repository}/branches/{branch}/import"


class ImportCreation(dict):
    def __init__(self, source_uri, prepend, commit_message, metadata=None):
        super().__init__(source_uri=source_uri, prepend=prepend, commit_message=commit_message)
        if metadata is not None:
            self["metadata"] = metadata


class ImportStatus(dict):
    def __init__(self, import_id):
        super().__init__(import_id=import_id)


class ImportApi(PublishedImportApi):
    def import_start(self, repository, branch, import_creation, http_info=False):
        return self._call("POST", repository, branch, import_creation, (ImportCreationResponse,), http_info)

    def import_cancel(self, repository, branch, import_status, http_info=False):
        return self._call("DELETE", repository, branch, import_status, None, http_info)

    def import_status(self, repository, branch, import_status, http_info=False):
        # The document has a GET with a body, which the client's transport would drop.
        rest = self.api_client.rest_client
        pool = rest.pool_manager

        def request(method, url, fields=None, **kwargs):
            return pool.request(method, url, body=json.dumps(import_status), **kwargs)

        rest.pool_manager = SimpleNamespace(request=request)
        try:
            return self._call("GET", repository, branch, import_status, (ImportStatusResp,), http_info)
        finally:
            rest.pool_manager = pool

    def _call(self, method, repository, branch, body, response_type, http_info):
        return self.api_client.call_api(
            PATH,
            method,
            path_params={"repository": repository, "branch": branch},
            query_params=[],
            header_params={"Accept": "application/json", "Content-Type": "application/json"},
            body=dict(body),
            response_type=response_type,
            auth_settings=["basic_auth", "cookie_auth", "jwt_token", "oidc_auth", "saml_auth"],
            _return_http_data_only=not http_info,
            _check_type=True,
        )
