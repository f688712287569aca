"""A service behind HTTP, reached by what a connection says: host, port, login, password."""

import base64
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode


class ApiError(Exception):
    """What the service said, or that it said nothing; one line for the task's log."""


class Api:
    def __init__(self, connection: Mapping[str, Any]) -> None:
        self._address = f"http://{connection['host']}:{connection.get('port') or 80}"
        pair = f"{connection.get('login') or ''}:{connection.get('password') or ''}"
        self._headers = {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}

    @classmethod
    def connected(cls, name: str) -> "Api":
        """By the connection `name`, which the task asked for with `connections=`."""
        return cls(json.loads(Path(os.environ[f"ORCHESTRATOR_CONN_{name.upper()}_FILE"]).read_text()))

    def get(self, path: str, query: Mapping[str, str | int]) -> bytes:
        """The body of an answer. `ApiError` for every answer but 200, and for none."""
        asked = self._address + path + ("?" + urlencode(query) if query else "")
        request = urllib.request.Request(asked, headers=self._headers)  # noqa: S310 - its scheme stands above
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310
                return reply.read()
        except urllib.error.HTTPError as error:
            with error:
                told = error.read(200).decode(errors="replace")
            raise ApiError(f"{asked} said {error.code}: {told}") from error
        except OSError as error:
            raise ApiError(f"{asked} cannot be reached: {error}") from error

    def json(self, path: str, query: Mapping[str, str | int]) -> Any:
        return json.loads(self.get(path, query))

    def pages(self, path: str, query: Mapping[str, str | int], size: int) -> Iterator[Any]:
        """Every record of a list that comes in pages: `total` says how many there are."""
        offset, total = 0, 1
        while offset < total:
            page = self.json(path, {**query, "limit": size, "offset": offset})
            if not page["result"] and page["total"] > offset:
                raise ApiError(f"{path} promised {page['total']} records and gave {offset}")
            yield from page["result"]
            offset, total = offset + len(page["result"]), page["total"]
