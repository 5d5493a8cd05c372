import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dotbogi.data.download import download
from dotbogi.data.source import silent
from dotbogi.errors import DataError

CONTENT = bytes(range(256)) * 9000
MD5 = hashlib.md5(CONTENT).hexdigest()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "*")
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "images.gz").write_bytes(CONTENT)
    handler = functools.partial(Quiet, directory=str(tmp_path / "published"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


def test_a_file_is_downloaded_once_with_progress(server: str, tmp_path: Path):
    heard: list[tuple[str, int, int]] = []
    target = tmp_path / "cache" / "images.gz"
    download(server + "images.gz", MD5, target, lambda *progress: heard.append(progress))
    assert target.read_bytes() == CONTENT
    assert heard[-1] == ("downloading images.gz", len(CONTENT), len(CONTENT))
    assert len(heard) == 3
    download("http://127.0.0.1:9/images.gz", MD5, target, silent)


def test_another_checksum_is_refused_and_nothing_is_left(server: str, tmp_path: Path):
    target = tmp_path / "cache" / "images.gz"
    with pytest.raises(DataError, match=rf"its MD5 is {MD5} instead of 0000"):
        download(server + "images.gz", "0000", target, silent)
    assert not [path for path in target.parent.iterdir() if path.suffix != ".lock"]


def test_offline_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(DataError, match=r"Downloading http://127.0.0.1:9/images.gz failed: .*refused") as caught:
        download("http://127.0.0.1:9/images.gz", MD5, tmp_path / "images.gz", silent)
    assert "--data-dir" in caught.value.fix
    assert "--data sample" in caught.value.fix


def test_a_file_that_the_server_lacks_is_said(server: str, tmp_path: Path):
    with pytest.raises(DataError, match=r"failed: .*(404|not found)"):
        download(server + "gone.gz", MD5, tmp_path / "gone.gz", silent)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"failed: "):
        download("http://127.0.0.1:9/a.gz", MD5, tmp_path / "file" / "a.gz", silent)
