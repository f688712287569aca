"""The data over HTTP, as other people's services give it: in pages, behind a password, and sometimes not yet."""

import base64
import hmac
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from urllib.parse import parse_qsl, urlsplit

import days

PAGE = 100


class Refused(Exception):  # noqa: N818 - an answer like any other
    """An answer that is none: its status, and what is wrong."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Desk:
    """Publishes a day's ratings `lag` seconds after somebody first asked for them."""

    def __init__(self, lag: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lag = lag
        self._clock = clock
        self._asked: dict[date, float] = {}
        self._lock = Lock()

    def ratings(self, day: date) -> list[dict[str, float]]:
        with self._lock:
            first = self._asked.setdefault(day, self._clock())
        return days.ratings(day) if self._clock() - first >= self._lag else []


class Api:
    """From a path and its query to the bytes of an answer; `Refused` where there is none."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._paths: tuple[tuple[str, Callable[..., object]], ...] = (
            (r"/ratings", self._ratings),
            (r"/events", self._events),
            (r"/pageviews/(\d{8}-\d\d)\.gz", lambda _, hour: days.pageviews(_hour(hour))),
            (r"/vulnerabilities/([\d-]+)", lambda _, day: days.vulnerabilities(_day(day))),
            (r"/vulnerabilities/([\d-]+)/digest", self._digest),
            (r"/markets", lambda _: sorted(days.MARKETS)),
            (r"/markets/(\w+)/([\d-]+)", self._sales),
        )

    def answer(self, target: str) -> bytes:
        """The bytes as they are, anything else as JSON."""
        asked = urlsplit(target)
        for pattern, answer in self._paths:
            if found := re.fullmatch(pattern, asked.path):
                told = answer(dict(parse_qsl(asked.query)), *found.groups())
                return told if isinstance(told, bytes) else _json(told)
        raise Refused(404, f"there is nothing at {asked.path}")

    def _ratings(self, query: Mapping[str, str]) -> object:
        found = [each for day in _days(query) for each in self._desk.ratings(day)]
        limit, offset = _number(query, "limit", PAGE), _number(query, "offset", 0)
        return {"total": len(found), "limit": limit, "offset": offset, "result": found[offset : offset + limit]}

    def _events(self, query: Mapping[str, str]) -> object:
        return [each for day in _days(query) for each in days.events(day)]

    def _digest(self, _: Mapping[str, str], day: str) -> object:
        return {"sha256": days.digest(_json(days.vulnerabilities(_day(day))))}

    def _sales(self, _: Mapping[str, str], market: str, day: str) -> object:
        if market not in days.MARKETS:
            raise Refused(404, f"there is no market {market!r}")
        return days.sales(market, _day(day))


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused(400, f"{text!r} is no date: write 2019-01-31") from None


def _hour(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y%m%d-%H").replace(tzinfo=UTC)
    except ValueError:
        raise Refused(400, f"{text!r} is no hour: write 20190131-23") from None


def _days(query: Mapping[str, str]) -> Iterator[date]:
    """From `start_date` on, and before `end_date`."""
    for name in ("start_date", "end_date"):
        if name not in query:
            raise Refused(400, f"{name} is missing")
    start, end = _day(query["start_date"]), _day(query["end_date"])
    return (start + timedelta(days=number) for number in range((end - start).days))


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal():
        raise Refused(400, f"{name} is {text!r}: write a number from 0 on")
    return int(text)


def handler(api: Api, login: str, password: str) -> type[BaseHTTPRequestHandler]:
    """What answers requests; all but `/` want the password."""
    wanted = "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            try:
                self._send(200, self._answer())
            except Refused as refused:
                self._send(refused.status, _json({"error": str(refused)}))

        def _answer(self) -> bytes:
            if self.path == "/":
                return b"ready\n"
            if not hmac.compare_digest(self.headers.get("Authorization", ""), wanted):
                raise Refused(401, "wrong login or password")
            return api.answer(self.path)

        def _send(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


if __name__ == "__main__":
    lag = float(os.environ.get("RATINGS_LAG", "2"))
    serving = handler(Api(Desk(lag)), os.environ["API_LOGIN"], os.environ["API_PASSWORD"])
    with ThreadingHTTPServer(("", 8000), serving) as server:
        print("listening on port 8000")
        server.serve_forever()
