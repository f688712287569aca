import base64
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import available
import fetch
import pytest
from click.testing import CliRunner, Result

WANTED = "Basic " + base64.b64encode(b"reader:bookworm").decode()


class Service(BaseHTTPRequestHandler):
    """A list of `server.records`, in pages."""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        query = {name: int(values[0]) for name, values in parse_qs(asked.query).items()}
        self.server.asked.append(query)
        if self.headers["Authorization"] != WANTED:
            self._send(401, {"error": "wrong password"})
        elif asked.path == "/broken":
            self._send(200, {"total": 5, "result": []})
        else:
            offset = query.get("offset", 0)
            page = self.server.records[offset : offset + query["limit"]]
            self._send(200, {"total": len(self.server.records), "result": page})

    def _send(self, status: int, told: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        server.records, server.asked = [], []
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def connected(service: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the connection `example_api`."""
    file = tmp_path / "connection.json"
    told = {"host": "127.0.0.1", "port": service.server_port, "login": "reader", "password": "bookworm"}
    file.write_text(json.dumps(told))
    monkeypatch.setenv("ORCHESTRATOR_CONN_EXAMPLE_API_FILE", str(file))
    return file


def fetched(*arguments: str) -> Result:
    return CliRunner().invoke(fetch.main, ["example_api", *arguments])


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize("number", [0, 1, 4, 5, 6])
def test_all_pages_become_one_list(service, tmp_path: Path, number: int) -> None:
    service.records = list(range(number))
    assert fetched("/list", str(tmp_path / "out.json"), "--page-size", "2").exit_code == 0
    assert json.loads((tmp_path / "out.json").read_text()) == service.records
    assert len(service.asked) == max(1, (number + 1) // 2)


@pytest.mark.usefixtures("connected")
def test_a_list_that_ends_too_soon_is_an_error(tmp_path: Path) -> None:
    said = fetched("/broken", str(tmp_path / "out.json"), "--page-size", "2")
    assert said.exit_code == 1
    assert "promised 5 records and gave 0" in said.output
    assert not (tmp_path / "out.json").exists()


def test_a_wrong_password_leaves_one_line_and_no_file(connected: Path, tmp_path: Path) -> None:
    connected.write_text(connected.read_text().replace("bookworm", "silverfish"))
    said = fetched("/list", str(tmp_path / "out.json"))
    assert said.exit_code == 1
    assert "said 401" in said.output
    assert "silverfish" not in said.output
    assert not (tmp_path / "out.json").exists()


def test_a_service_that_is_away_is_told(connected: Path, tmp_path: Path) -> None:
    port = json.loads(connected.read_text())["port"]
    connected.write_text(connected.read_text().replace(str(port), "1"))
    assert "cannot be reached" in fetched("/list", str(tmp_path / "out.json")).output


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize(("records", "code"), [([], 75), ([1], 0)])
def test_a_sensor_is_told_not_yet_by_exit_code_75(service, records: list[int], code: int) -> None:
    service.records = records
    assert CliRunner().invoke(available.main, ["example_api", "/list"]).exit_code == code
