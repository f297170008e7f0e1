"""Fetching: from a real server on this machine, whole and with a checksum, or not at all."""

import hashlib
import http.server
import threading

import pytest

from tinybar.data.files.download import Remote, find_or_fetch

CONTENT = bytes(range(256)) * 4096


class Server(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT; `breaks_at`: where the connection is cut; `ranges`: what was asked for."""

    breaks_at: int | None = None
    ranges: list

    def do_GET(self):
        asked = self.headers.get("Range")
        self.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : self.breaks_at])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    handler = type("Handler", (Server,), {"ranges": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        handler.url = f"http://127.0.0.1:{httpd.server_port}/set.gz"
        yield handler
        httpd.shutdown()


def remote(server, content=CONTENT) -> Remote:
    return Remote(server.url, hashlib.md5(content).hexdigest())


def test_it_is_fetched_once_into_the_first_place(server, tmp_path):
    places = [tmp_path / "a" / "b", tmp_path]
    for _ in range(2):
        found = find_or_fetch(remote(server), places)
    assert found == places[0] / "set.gz"
    assert found.read_bytes() == CONTENT
    assert server.ranges == [None]


def test_what_lies_in_a_place_is_taken_as_it_is(server, tmp_path):
    (tmp_path / "set.gz").write_bytes(b"mine")
    found = find_or_fetch(remote(server), [tmp_path / "a", tmp_path])
    assert found.read_bytes() == b"mine"
    assert server.ranges == []


def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path):
    server.breaks_at = 300_000
    with pytest.raises(ValueError, match=r"cannot fetch .*put set.gz into"):
        find_or_fetch(remote(server), [tmp_path])
    assert not (tmp_path / "set.gz").exists()
    server.breaks_at = None
    assert find_or_fetch(remote(server), [tmp_path]).read_bytes() == CONTENT
    first, second = server.ranges
    assert first is None
    assert 0 < int(second.removeprefix("bytes=").rstrip("-")) <= 300_000
    assert [path.name for path in tmp_path.iterdir()] == ["set.gz"]


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    with pytest.raises(ValueError, match=r"cannot fetch .*hash"):
        find_or_fetch(remote(server, b"something else"), [tmp_path])
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_one_line_says_what_to_do(server, tmp_path):
    gone = Remote("http://127.0.0.1:9/set.gz", "0" * 32)
    with pytest.raises(ValueError, match=r"put set.gz into '.*' yourself") as error:
        find_or_fetch(gone, [tmp_path])
    assert "\n" not in str(error.value)
