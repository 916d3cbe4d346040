import gzip
import hashlib
import os
import random
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from dlbook import datasets
from dlbook.datasets import files, images

GENERATED = [datasets.blobs, datasets.moons, datasets.spirals, datasets.logic_gates]


def idx(values: np.ndarray) -> bytes:
    """Gzipped IDX bytes of an array, written independently of the reader under test."""
    header = b"\x00\x00\x08" + bytes([values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape)
    return gzip.compress(header + values.astype(np.uint8).tobytes())


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


# ---------------------------------------------------------------------------------------------------- generated sets


@pytest.mark.parametrize("make", GENERATED)
def test_a_generated_set_is_reproducible_and_touches_no_global_seed(make):
    state = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
    inputs, targets = make(n=101, noise=0.1, seed=7)
    assert inputs.shape == (101, 2)
    assert inputs.dtype == torch.float32
    assert targets.shape == (101,)
    assert targets.dtype == torch.int64
    again, other = make(n=101, noise=0.1, seed=7), make(n=101, noise=0.1, seed=8)
    assert torch.equal(inputs, again.inputs)
    assert not torch.equal(inputs, other.inputs)
    assert torch.equal(state[0], torch.get_rng_state())
    assert state[1:] == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002


@pytest.mark.parametrize("make", GENERATED)
def test_noise_has_the_stated_size(make):
    clean, noisy = make(n=20_000, noise=0.0, seed=3), make(n=20_000, noise=0.25, seed=3)
    difference = noisy.inputs - clean.inputs
    assert difference.mean(0).abs().max() < 0.01
    torch.testing.assert_close(difference.std(0), torch.tensor([0.25, 0.25]), rtol=0.02, atol=0.0)


@pytest.mark.parametrize(("gate", "function"), [
    ("and", lambda a, b: a and b),
    ("or", lambda a, b: a or b),
    ("nand", lambda a, b: not (a and b)),
    ("nor", lambda a, b: not (a or b)),
    ("xor", lambda a, b: a != b),
])  # fmt: skip
def test_logic_gates_are_their_truth_tables(gate, function):
    inputs, targets = datasets.logic_gates(gate, n=7)
    assert inputs[:4].tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert torch.equal(inputs[4:], inputs[:3])
    assert targets.tolist() == [int(function(*map(bool, corner))) for corner in inputs.tolist()]


@pytest.mark.parametrize("make", [datasets.blobs, datasets.spirals])
def test_classes_are_balanced(make):
    assert torch.bincount(make(n=11, classes=5).targets).tolist() == [3, 2, 2, 2, 2]


def test_blobs_lie_round_centres_on_the_unit_circle():
    inputs, targets = datasets.blobs(4, noise=0.0, classes=4)
    torch.testing.assert_close(inputs, torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]]))
    assert targets.tolist() == [0, 1, 2, 3]


def test_moons_are_two_half_circles():
    inputs, targets = datasets.moons(500, noise=0.0)
    upper, lower = inputs[targets == 0], inputs[targets == 1] - torch.tensor([1.0, 0.5])
    torch.testing.assert_close(torch.cat([upper, lower]).norm(dim=1), torch.ones(500))
    assert upper[:, 1].min() >= 0
    assert lower[:, 1].max() <= 1e-6
    assert lower[:, 0].min() < -0.9  # the lower moon spans its whole width too
    assert lower[:, 0].max() > 0.9


def test_spirals_turn_with_the_radius():
    inputs, targets = datasets.spirals(999, noise=0.0, classes=3, turns=0.3)
    radius, angle = inputs.norm(dim=1), torch.atan2(inputs[:, 1], inputs[:, 0])
    assert radius.max() <= 1 + 1e-6
    expected = 2 * torch.pi * (0.3 * radius + targets / 3)
    torch.testing.assert_close(torch.cos(angle - expected), torch.ones(999))


@pytest.mark.bad_input
def test_generated_sets_name_a_bad_argument():
    for make in GENERATED:
        with pytest.raises(ValueError, match=r"n: expected .*got 0"):
            make(n=0)
        with pytest.raises(ValueError, match=r"noise: expected .*got -1"):
            make(n=5, noise=-1)
    with pytest.raises(ValueError, match=r"gate: expected one of 'and'.*got 'maybe'"):
        datasets.logic_gates("maybe")
    for make in (datasets.blobs, datasets.spirals):
        with pytest.raises(ValueError, match=r"classes: expected .*got 0"):
            make(classes=0)


def test_examples_move_to_a_device(device):
    data = datasets.Dataset(datasets.moons(6), datasets.moons(4, seed=1)).to(device)
    assert {tensor.device.type for pair in data for tensor in pair} == {device.type}
    assert data.train.inputs.shape == (6, 2)
    assert data.test.targets.shape == (4,)


# ------------------------------------------------------------------------------------------------------------ digits


def test_digits_are_scaled_and_split_evenly():
    train, test = datasets.digits()
    assert train.inputs.shape == (1437, 1, 8, 8)
    assert test.inputs.shape == (360, 1, 8, 8)
    assert (train.inputs.dtype, train.targets.dtype) == (torch.float32, torch.int64)
    for part in (train, test):
        assert (part.inputs.min(), part.inputs.max()) == (0, 1)
        shares = torch.bincount(part.targets, minlength=10) / len(part.targets)
        assert (shares - 0.1).abs().max() < 0.01
    assert torch.equal(test.inputs, datasets.digits().test.inputs)
    assert not torch.equal(test.targets, datasets.digits(seed=1).test.targets)


def test_digits_are_scikit_learns_each_once():
    from sklearn.datasets import load_digits

    rows = torch.cat([torch.cat([part.inputs.flatten(1) * 16, part.targets[:, None]], 1) for part in datasets.digits()])
    images, labels = load_digits(return_X_y=True)
    expected = np.column_stack([images, labels])
    assert sorted(rows.tolist()) == sorted(expected.tolist())


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


def test_the_published_sums_cover_four_files_each():
    assert set(files.SOURCES) == {"mnist", "fashion_mnist"}
    for source in files.SOURCES.values():
        assert list(source.files) == list(TINY)
        assert all(len(digest) == 64 for digest in source.files.values())
        assert len(source.homes) >= 2
        assert all(home.endswith("/") for home in source.homes)
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
    with pytest.raises(ValueError, match=r"name: expected one of 'mnist', 'fashion_mnist'; got 'imagenet'"):
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


# --------------------------------------------------------------------------------------------------------------- IDX


def test_idx_gives_back_what_was_written():
    values = np.arange(2 * 3 * 5).reshape(2, 3, 5)
    assert np.array_equal(images._parse_idx(idx(values), 3, "x"), values)
    assert images._parse_idx(idx(np.zeros((0, 3, 5))), 3, "x").shape == (0, 3, 5)


@pytest.mark.parametrize(("content", "message"), [
    (TINY["train-images-idx3-ubyte.gz"][:-20], "file.gz: not a whole gzip file"),
    (b"PK\x03\x04", "file.gz: not a whole gzip file"),
    (TINY["train-labels-idx1-ubyte.gz"], r"with 3 axes; it starts 00 00 08 01"),
    (gzip.compress(b"\x00\x00\x08\x03\x00"), "with 3 axes"),
    (gzip.compress(gzip.decompress(TINY["t10k-images-idx3-ubyte.gz"])[:-1]), r"expected 1568 values .*got 1567"),
    (gzip.compress(gzip.decompress(TINY["t10k-images-idx3-ubyte.gz"]) + b"!"), r"expected 1568 values .*got 1569"),
])  # fmt: skip
def test_broken_idx_is_an_error(content, message):
    with pytest.raises(datasets.DataUnavailable, match=message):
        images._parse_idx(content, 3, "file.gz")


def test_examples_are_a_plain_pair_that_moves_as_one(device):
    pair = datasets.Examples(torch.zeros(3, 2), torch.tensor([0, 1, 1]))
    inputs, targets = pair.to(device)
    assert (inputs.device.type, targets.device.type) == (device.type, device.type)
    moved = datasets.Dataset(pair, pair).to(device)
    assert torch.equal(moved.test.targets.cpu(), pair.targets)
