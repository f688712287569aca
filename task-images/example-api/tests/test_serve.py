import gzip
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import date
from http.server import ThreadingHTTPServer
from threading import Thread

import days
import pytest
import serve

DAY = "start_date=2019-01-01&end_date=2019-01-02"


class Ticking:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def api() -> serve.Api:
    return serve.Api(serve.Desk(lag=0))


def told(api: serve.Api, target: str):
    return json.loads(api.answer(target))


def test_pages_together_are_all_ratings_of_the_day(api: serve.Api) -> None:
    total = told(api, f"/ratings?{DAY}&limit=1")["total"]
    pages = [told(api, f"/ratings?{DAY}&offset={offset}")["result"] for offset in range(0, total, serve.PAGE)]
    assert len(pages) > 2
    assert [each for page in pages for each in page] == days.ratings(date(2019, 1, 1))


def test_the_end_of_a_range_does_not_belong_to_it(api: serve.Api) -> None:
    assert told(api, "/events?start_date=2019-01-01&end_date=2019-01-01") == []
    assert {each["date"] for each in told(api, f"/events?{DAY}")} == {"2019-01-01"}


def test_ratings_are_published_some_time_after_they_were_first_asked_for() -> None:
    clock = Ticking()
    api = serve.Api(serve.Desk(3, clock))
    assert told(api, f"/ratings?{DAY}")["total"] == 0
    clock.now = 2.9
    assert told(api, f"/ratings?{DAY}")["total"] == 0
    clock.now = 3.0
    assert told(api, f"/ratings?{DAY}")["total"] >= 200


def test_what_is_asked_for_twice_is_the_same(api: serve.Api) -> None:
    for target in (f"/events?{DAY}", "/pageviews/20190101-07.gz", "/markets/hill/2019-01-01"):
        assert api.answer(target) == api.answer(target)


def test_page_views_are_compressed_lines_of_four_words(api: serve.Api) -> None:
    lines = gzip.decompress(api.answer("/pageviews/20190101-07.gz")).decode().splitlines()
    assert {len(line.split()) for line in lines} == {4}


def test_the_list_of_vulnerabilities_grows_on_mondays_only(api: serve.Api) -> None:
    digests = {day: told(api, f"/vulnerabilities/2019-01-{day:02}/digest") for day in range(6, 15)}
    assert digests[6] != digests[7] == digests[13] != digests[14]


@pytest.mark.parametrize(
    ("target", "status", "why"),
    [
        ("/nothing", 404, "nothing at /nothing"),
        ("/markets/moon/2019-01-01", 404, "no market 'moon'"),
        ("/events?start_date=2019-01-01", 400, "end_date is missing"),
        ("/events?start_date=soon&end_date=2019-01-02", 400, "'soon' is no date"),
        (f"/ratings?{DAY}&limit=-1", 400, "limit is '-1'"),
        ("/pageviews/20190101-77.gz", 400, "no hour"),
    ],
)
def test_what_it_does_not_have_is_told(api: serve.Api, target: str, status: int, why: str) -> None:
    with pytest.raises(serve.Refused, match=why) as caught:
        api.answer(target)
    assert caught.value.status == status


@pytest.fixture
def address(api: serve.Api) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), serve.handler(api, "reader", "bookworm")) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_everybody_may_ask_whether_it_is_there(address: str) -> None:
    with urllib.request.urlopen(address + "/") as reply:  # noqa: S310 - its own server
        assert reply.read() == b"ready\n"


def test_data_is_behind_a_password(address: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401") as caught:
        urllib.request.urlopen(address + "/markets")  # noqa: S310 - its own server
    caught.value.close()
