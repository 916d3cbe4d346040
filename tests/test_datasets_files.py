import gzip
import hashlib
import io
import os
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from dlbook import datasets
from dlbook.datasets import files, images

# Without a time of its own, so that a test has the same name on every worker.
packed = partial(gzip.compress, mtime=0)


def idx(values: np.ndarray) -> bytes:
    """Gzipped IDX bytes of an array, written independently of the reader under test."""
    header = b"\x00\x00\x08" + bytes([values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    return packed(header + values.astype(np.uint8).tobytes())


TINY = {
    "train-images-idx3-ubyte.gz": idx(np.arange(5 * 28 * 28).reshape(5, 28, 28) % 256),
    "train-labels-idx1-ubyte.gz": idx(np.array([3, 1, 4, 1, 5])),
    "t10k-images-idx3-ubyte.gz": idx(np.full((2, 28, 28), 255)),
    "t10k-labels-idx1-ubyte.gz": idx(np.array([9, 2])),
}


class Mirror(ThreadingHTTPServer):
    """A data set's home on this machine; ``pages`` maps a path to what is sent, and ``asked`` keeps the requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, bytes] = {}
        self.cut: set[str] = set()
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        page = self.server.pages.get(self.path)
        if page is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page[: len(page) // 2] if self.path in self.server.cut else page)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with Mirror() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def cache(monkeypatch, tmp_path) -> Path:
    """An empty cache, no folder of the reader's, and no proxy between the test and its mirror."""
    monkeypatch.setattr(files.pooch, "os_cache", lambda _: tmp_path / "cache")
    monkeypatch.delenv("DLBOOK_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "cache" / "mnist"


def publish(monkeypatch, *homes: str) -> None:
    """Let MNIST be the tiny set, published at these addresses."""
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in TINY.items()}
    monkeypatch.setitem(files.SOURCES, "mnist", files.Source("mnist", homes, sums))


def serve(mirror: Mirror, folder: str = "") -> str:
    mirror.pages.update({f"/{folder}{name}": content for name, content in TINY.items()})
    return mirror.url + folder


def fill(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, content in TINY.items():
        (folder / name).write_bytes(content)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# ------------------------------------------------------------------------------------- files, as the reader has them


@pytest.mark.skipif("DLBOOK_DATA" not in os.environ, reason="DLBOOK_DATA names no folder with the real files")
@pytest.mark.parametrize(
    ("name", "mean", "std"), [("mnist", 0.130660, 0.308108), ("fashion_mnist", 0.286041, 0.353024)]
)
def test_the_real_files(name, mean, std):
    if not datasets.available(name):
        pytest.skip(f"DLBOOK_DATA does not hold {name}")
    train, test = getattr(datasets, name)()
    assert train.inputs.shape == (60_000, 1, 28, 28)
    assert test.inputs.shape == (10_000, 1, 28, 28)
    assert train.inputs.dtype == torch.float32
    assert (train.inputs.min(), train.inputs.max()) == (0, 1)
    assert train.inputs.mean(dtype=torch.float64).item() == pytest.approx(mean, abs=1e-6)
    assert train.inputs.double().std().item() == pytest.approx(std, abs=1e-6)
    assert train.targets.dtype == torch.int64
    assert train.targets.unique().tolist() == test.targets.unique().tolist() == list(range(10))


def test_every_file_has_a_published_sum_and_two_homes():
    pictures, texts = {"mnist", "fashion_mnist"}, {"tatoeba", "shakespeare"}
    assert set(files.SOURCES) == pictures | texts
    for name, source in files.SOURCES.items():
        assert all(len(digest) == 64 for digest in source.files.values())
        assert len(source.homes) == 2
        assert all(home.startswith("http") and home.endswith("/") for home in source.homes)
        assert name in texts or list(source.files) == list(TINY)
    assert len(datasets.FASHION_MNIST_CLASSES) == 10


def test_the_readers_folder_comes_first(monkeypatch, cache, tmp_path):
    publish(monkeypatch)
    fill(tmp_path / "own" / "mnist")
    assert not datasets.available("mnist")
    monkeypatch.setenv("DLBOOK_DATA", str(tmp_path / "own"))
    assert datasets.available("mnist")
    train, test = datasets.mnist()
    expected = torch.arange(5 * 28 * 28).reshape(5, 1, 28, 28) % 256 / 255
    torch.testing.assert_close(train.inputs, expected)
    assert train.targets.tolist() == [3, 1, 4, 1, 5]
    assert torch.equal(test.inputs, torch.ones(2, 1, 28, 28))
    assert test.targets.tolist() == [9, 2]
    assert not cache.exists()


def test_a_damaged_file_of_the_readers_is_reported_and_kept(monkeypatch, cache, tmp_path):
    publish(monkeypatch)
    folder = tmp_path / "own" / "mnist"
    fill(folder)
    damaged = folder / "t10k-images-idx3-ubyte.gz"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    monkeypatch.setenv("DLBOOK_DATA", str(tmp_path / "own"))
    with pytest.raises(datasets.DataUnavailable, match=r"t10k-images-idx3-ubyte\.gz is damaged: its SHA-256"):
        datasets.mnist()
    assert names(folder) == sorted(TINY)


@pytest.mark.bad_input
def test_an_unknown_name_is_an_error():
    with pytest.raises(ValueError, match=r"name: expected one of 'mnist', .*'shakespeare'; got 'imagenet'"):
        datasets.available("imagenet")


# --------------------------------------------------------------------------------------------------------- downloads


def test_a_download_is_cached_and_not_repeated(monkeypatch, cache, mirror, capfd):
    publish(monkeypatch, serve(mirror))
    train, _ = datasets.mnist()
    assert train.targets.tolist() == [3, 1, 4, 1, 5]
    assert names(cache) == sorted(TINY)
    assert len(mirror.asked) == 4
    assert datasets.available("mnist")
    datasets.mnist()
    assert len(mirror.asked) == 4
    assert capfd.readouterr() == ("", "")  # a chapter that writes to stderr fails


def test_only_what_is_missing_is_fetched(monkeypatch, cache, mirror, tmp_path):
    publish(monkeypatch, serve(mirror))
    fill(tmp_path / "own" / "mnist")
    (tmp_path / "own" / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    monkeypatch.setenv("DLBOOK_DATA", str(tmp_path / "own"))
    assert datasets.mnist().test.targets.tolist() == [9, 2]
    assert mirror.asked == ["/t10k-labels-idx1-ubyte.gz"]
    assert names(cache) == ["t10k-labels-idx1-ubyte.gz"]


@pytest.mark.parametrize("fault", ["missing", "damaged", "cut short"])
def test_a_bad_mirror_is_passed_over(monkeypatch, cache, mirror, fault):
    first, second = serve(mirror, "first/"), serve(mirror, "second/")
    for name, content in TINY.items():
        if fault == "missing":
            del mirror.pages[f"/first/{name}"]
        elif fault == "damaged":
            mirror.pages[f"/first/{name}"] = content[:-1] + b"?"
        else:
            mirror.cut.add(f"/first/{name}")
    publish(monkeypatch, first, second)
    assert datasets.mnist().train.targets.tolist() == [3, 1, 4, 1, 5]
    assert len(mirror.asked) == 8
    assert names(cache) == sorted(TINY)


@pytest.mark.parametrize("fault", ["damaged", "cut short"])
def test_a_damaged_download_leaves_nothing_behind(monkeypatch, cache, mirror, fault):
    publish(monkeypatch, serve(mirror))
    path = "/train-labels-idx1-ubyte.gz"
    if fault == "damaged":
        mirror.pages[path] = b"<html>sign in to the hotel's network</html>"
    else:
        mirror.cut.add(path)
    with pytest.raises(datasets.DataUnavailable, match="could not be downloaded") as caught:
        datasets.mnist()
    assert mirror.url + "train-labels-idx1-ubyte.gz: " in str(caught.value)
    assert names(cache) == ["train-images-idx3-ubyte.gz"]  # the one that came whole before it
    assert not datasets.available("mnist")


def test_a_damaged_cached_file_is_removed_and_fetched_again(monkeypatch, cache, mirror):
    publish(monkeypatch, serve(mirror))
    fill(cache)
    (cache / "train-labels-idx1-ubyte.gz").write_bytes(b"half")
    with pytest.warns(UserWarning, match=r"train-labels-idx1-ubyte\.gz was damaged and has been removed"):
        train, _ = datasets.mnist()
    assert train.targets.tolist() == [3, 1, 4, 1, 5]
    assert mirror.asked == ["/train-labels-idx1-ubyte.gz"]


def test_without_a_network_the_error_says_what_to_put_where(monkeypatch, cache, mirror, tmp_path):
    mirror.server_close()  # its port now refuses connections
    publish(monkeypatch, mirror.url + "a/", mirror.url + "b/")
    with pytest.raises(OSError) as caught:
        datasets.mnist()
    message = str(caught.value)
    assert isinstance(caught.value, datasets.DataUnavailable)
    for expected in [*TINY, str(cache), "DLBOOK_DATA", mirror.url + "a/", mirror.url + "b/"]:
        assert expected in message
    assert names(tmp_path) == []
    monkeypatch.setenv("DLBOOK_DATA", str(tmp_path / "own"))
    with pytest.raises(datasets.DataUnavailable, match=f"into {tmp_path / 'own' / 'mnist'}"):
        datasets.mnist()


def test_an_unwritable_cache_is_reported(monkeypatch, cache, mirror, tmp_path):
    publish(monkeypatch, serve(mirror))
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(datasets.DataUnavailable, match="could not be downloaded"):
        datasets.mnist()


# ------------------------------------------------------------------------------------------------- packed files, texts

SENTENCES = b"Va !\tGo.\n" * 40


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"fra-eng/{name}.txt", content)
    return stream.getvalue()


def announce(monkeypatch, archive: bytes, *homes: str) -> None:
    """Let Tatoeba be the tiny text, published in this archive at these addresses."""
    sums = {"fra.txt": hashlib.sha256(SENTENCES).hexdigest()}
    packed = "fra-eng.zip", f"sha1:{hashlib.sha1(archive).hexdigest()}"
    monkeypatch.setitem(files.SOURCES, "tatoeba", files.Source("tatoeba", homes, sums, packed))


def read() -> bytes:
    return files.read_file(files.SOURCES["tatoeba"], "fra.txt")


@pytest.mark.parametrize(("name", "content"), [("fra.txt", SENTENCES), ("fra.txt.gz", packed(SENTENCES))])
def test_a_file_may_lie_there_packed(monkeypatch, cache, tmp_path, name, content):
    announce(monkeypatch, b"")
    for root in ("own", "cache"):
        path = tmp_path / root / "tatoeba" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        monkeypatch.setenv("DLBOOK_DATA", str(tmp_path / root if root == "own" else tmp_path / "none"))
        assert datasets.available("tatoeba")
        assert read() == SENTENCES
        path.unlink()
        assert not datasets.available("tatoeba")


@pytest.mark.parametrize("content", [packed(SENTENCES[1:]), packed(SENTENCES)[:-9], b"no gzip file", b""])
def test_a_damaged_packed_file_is_reported(monkeypatch, cache, tmp_path, content):
    announce(monkeypatch, b"")
    path = tmp_path / "own" / "tatoeba" / "fra.txt.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    monkeypatch.setenv("DLBOOK_DATA", str(tmp_path / "own"))
    with pytest.raises(datasets.DataUnavailable, match=r"fra\.txt\.gz is damaged: its SHA-256"):
        read()
    assert path.read_bytes() == content


def test_an_archive_is_unpacked_once_and_dropped(monkeypatch, cache, mirror, capfd):
    archive = zipped(_about=b"licence", fra=SENTENCES)
    mirror.pages["/fra-eng.zip"] = archive
    announce(monkeypatch, archive, mirror.url)
    assert [read(), read()] == [SENTENCES] * 2
    assert mirror.asked == ["/fra-eng.zip"]
    assert names(cache.parent) == ["fra.txt"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("archive", [
    zipped(_about=b"licence"),
    zipped(fra=SENTENCES[1:]),
    zipped(fra=SENTENCES)[:-30],
    b"<html>not found</html>",
])  # fmt: skip
def test_an_archive_of_something_else_leaves_nothing_behind(monkeypatch, cache, mirror, archive):
    mirror.pages["/fra-eng.zip"] = archive
    announce(monkeypatch, archive, mirror.url)
    with pytest.raises(datasets.DataUnavailable, match=r"fra-eng\.zip: (the archive holds no|not a whole zip)"):
        read()
    assert names(cache.parent) == []


@pytest.mark.parametrize(("name", "file"), [("tatoeba", "fra.txt"), ("shakespeare", "input.txt")])
def test_without_a_network_a_text_says_what_to_put_where(monkeypatch, cache, mirror, name, file):
    mirror.server_close()
    source = files.SOURCES[name]._replace(homes=(mirror.url,))
    monkeypatch.setitem(files.SOURCES, name, source)
    with pytest.raises(datasets.DataUnavailable, match="could not be downloaded") as caught:
        getattr(datasets, name)()
    served = "fra-eng.zip (unpack it)" if name == "tatoeba" else ""
    for expected in (f"Put these files\n  {file}\ninto ", source.folder, "DLBOOK_DATA", mirror.url + served):
        assert expected in str(caught.value)


# --------------------------------------------------------------------------------------------------------------- IDX


def test_idx_gives_back_what_was_written():
    values = np.arange(2 * 3 * 5).reshape(2, 3, 5)
    assert np.array_equal(images._parse_idx(idx(values), 3, "x"), values)
    assert images._parse_idx(idx(np.zeros((0, 3, 5))), 3, "x").shape == (0, 3, 5)


@pytest.mark.parametrize(("content", "message"), [
    (TINY["train-images-idx3-ubyte.gz"][:-20], "file.gz: not a whole gzip file"),
    (b"PK\x03\x04", "file.gz: not a whole gzip file"),
    (TINY["train-labels-idx1-ubyte.gz"], r"with 3 axes; it starts 00 00 08 01"),
    (packed(b"\x00\x00\x08\x03\x00"), "with 3 axes"),
    (packed(gzip.decompress(TINY["t10k-images-idx3-ubyte.gz"])[:-1]), r"expected 1568 values .*got 1567"),
    (packed(gzip.decompress(TINY["t10k-images-idx3-ubyte.gz"]) + b"!"), r"expected 1568 values .*got 1569"),
])  # fmt: skip
def test_broken_idx_is_an_error(content, message):
    with pytest.raises(datasets.DataUnavailable, match=message):
        images._parse_idx(content, 3, "file.gz")
