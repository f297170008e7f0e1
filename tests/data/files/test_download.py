"""Downloads from a local server: whole and with the right checksum, or not at all."""

import hashlib
import http.server
import threading

import pytest

from tinybar.data.files.download import RemoteFile, find_or_download

CONTENT = bytes(range(256)) * 4096


class Server(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT. cut_at: byte at which it stops; ranges: the Range header of every request."""

    cut_at: int | None = None
    ranges: list

    def do_GET(self):
        asked = self.headers.get("Range")
        self.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : self.cut_at])

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


def remote(server, content=CONTENT) -> RemoteFile:
    return RemoteFile(server.url, hashlib.md5(content).hexdigest())


def test_a_file_is_downloaded_once_into_the_first_folder(server, tmp_path):
    folders = [tmp_path / "a" / "b", tmp_path]
    for _ in range(2):
        found = find_or_download(remote(server), folders)
    assert found == folders[0] / "set.gz"
    assert found.read_bytes() == CONTENT
    assert server.ranges == [None]


def test_a_file_that_exists_is_not_checked(server, tmp_path):
    (tmp_path / "set.gz").write_bytes(b"mine")
    found = find_or_download(remote(server), [tmp_path / "a", tmp_path])
    assert found.read_bytes() == b"mine"
    assert server.ranges == []


def test_an_interrupted_download_resumes(server, tmp_path):
    server.cut_at = 300_000
    with pytest.raises(ValueError, match=r"cannot download .*put set.gz into"):
        find_or_download(remote(server), [tmp_path])
    assert not (tmp_path / "set.gz").exists()
    server.cut_at = None
    assert find_or_download(remote(server), [tmp_path]).read_bytes() == CONTENT
    first, second = server.ranges
    assert first is None
    assert 0 < int(second.removeprefix("bytes=").rstrip("-")) <= 300_000
    assert [path.name for path in tmp_path.iterdir()] == ["set.gz"]


def test_a_wrong_checksum_leaves_no_file(server, tmp_path):
    with pytest.raises(ValueError, match=r"cannot download .*hash"):
        find_or_download(remote(server, b"something else"), [tmp_path])
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_the_error_says_what_to_do(server, tmp_path):
    gone = RemoteFile("http://127.0.0.1:9/set.gz", "0" * 32)
    with pytest.raises(ValueError, match=r"put set.gz into '.*' yourself") as error:
        find_or_download(gone, [tmp_path])
    assert "\n" not in str(error.value)
