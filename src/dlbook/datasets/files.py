"""Files from the network: found, verified, cached, or an error that says what to put where.

A file is looked for in the folder of ``DLBOOK_DATA``, then in the user's cache, then at its public homes in turn. It is
held against its SHA-256 each time it is read: that takes a fraction of the time of unpacking it.
"""

import hashlib
import os
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import pooch

from dlbook._checks import check_option
from dlbook._progress import progress_bar


class DataUnavailable(OSError):
    """A data file is missing and could not be fetched, or is damaged; the message says which file to put where."""


class Source(NamedTuple):
    """A data set made of files: its folder's name, its public homes, and each file's SHA-256."""

    folder: str
    homes: tuple[str, ...]
    files: dict[str, str]


# In the order training images and labels, test images and labels.
SOURCES = {
    "mnist": Source(
        "mnist",
        ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        {
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
    ),
    "fashion_mnist": Source(
        "fashion-mnist",
        (
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        {
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
    ),
}


def available(name: str) -> bool:
    """Whether a data set's files are on this machine, so that loading it needs no network.

    Args:
        name: ``"mnist"`` or ``"fashion_mnist"``.

    Returns:
        True if every file lies in the folder of ``DLBOOK_DATA`` or in the cache. Nothing is downloaded.

    Raises:
        ValueError: If the name is unknown.

    Example:
        >>> available("mnist") in (True, False)
        True

    Source: written for this book. Chapter: digits.
    """
    check_option("name", name, SOURCES)
    source = SOURCES[name]
    return all(any((folder / file).is_file() for folder in _folders(source)) for file in source.files)


def _folders(source: Source) -> list[Path]:
    """Where the files may lie: the reader's own folder, if there is one, then the cache."""
    own = os.environ.get("DLBOOK_DATA", "").strip()
    roots = [Path(own).expanduser()] if own else []
    return [root / source.folder for root in [*roots, pooch.os_cache("dlbook")]]


def read_file(source: Source, file: str) -> bytes:
    """Bytes of one file, checksum verified: the reader's own, the cached one, or a fresh download."""
    *own, cache = _folders(source)
    for folder in own:
        if (folder / file).is_file():
            content = (folder / file).read_bytes()
            if not _intact(source, file, content):
                # the folder is the reader's: say so, and leave the file alone
                raise DataUnavailable(
                    _help(source, f"{folder / file} is damaged: its SHA-256 is not the published one")
                )
            return content
    cached = cache / file
    if cached.is_file():
        content = cached.read_bytes()
        if _intact(source, file, content):
            return content
        cached.unlink()
        warnings.warn(f"{cached} was damaged and has been removed; fetching it again", stacklevel=4)
    _download(source, file, cache)
    return cached.read_bytes()


def _intact(source: Source, file: str, content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == source.files[file]


def _download(source: Source, file: str, cache: Path) -> None:
    """Fetch one file from the first home that serves it whole; pooch verifies it, then renames it into place."""
    failures = []
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("ERROR")  # pooch announces each download on stderr; the bar says as much
    try:
        for home in source.homes:
            bar = progress_bar(1, file, unit="B", unit_scale=True)
            fetch: Any = pooch.HTTPDownloader(progressbar=False if bar.disable else bar, timeout=(5, 30))
            try:
                pooch.retrieve(home + file, f"sha256:{source.files[file]}", file, cache, downloader=fetch)
                return
            except (OSError, ValueError) as error:  # no connection, 404, no space; or a wrong checksum
                failures.append(f"{home + file}: {error}")
            finally:
                bar.close()
    finally:
        logger.setLevel(level)
    raise DataUnavailable(_help(source, "\n  ".join(["it could not be downloaded:", *failures])))


def _help(source: Source, reason: str) -> str:
    *own, cache = _folders(source)
    folder = own[0] if own else f"{cache} (or into {source.folder}/ of a folder that DLBOOK_DATA names)"
    files, homes = "\n  ".join(source.files), "\n  ".join(source.homes)
    return f"{source.folder}: {reason}\nPut these files\n  {files}\ninto {folder}. They are published at\n  {homes}"
