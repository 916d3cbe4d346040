"""Files from the network: found, verified, cached, or an error that says what to put where.

A file is looked for in the folder of ``DLBOOK_DATA``, then in the user's cache, then at its public homes in turn. It is
held against its SHA-256 each time it is read: that takes a fraction of the time of unpacking it. A file may also lie
there packed by gzip, under its name with ``.gz`` added; the checksum is that of what is inside.
"""

import gzip
import hashlib
import os
import warnings
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pooch

from dlbook._checks import check_option
from dlbook._progress import progress_bar


class DataUnavailable(OSError):
    """A data file is missing and could not be fetched, or is damaged; the message says which file to put where."""


class Source(NamedTuple):
    """A data set made of files: its folder's name, its public homes, and each file's SHA-256.

    Where the homes serve one zip archive in place of its file, ``archive`` holds the name and pooch's form of the hash.
    """

    folder: str
    homes: tuple[str, ...]
    files: dict[str, str]
    archive: tuple[str, str] | None = None


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
    "tatoeba": Source(
        "tatoeba-fra-eng",
        # the edition of 2019-04-07; manythings.org serves the newest one only, which no checksum could pin
        ("https://d2l-data.s3-accelerate.amazonaws.com/", "https://d2l-data.s3.amazonaws.com/"),
        {"fra.txt": "0bb85dbaa1c896844649094d7eaf2e34bee34e84fe362b26ce7e8f2e12aae104"},
        ("fra-eng.zip", "sha1:94646ad1522d915e7b0f9296181140edcf86a4f5"),
    ),
    "shakespeare": Source(
        "tinyshakespeare",
        (
            "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/",
            "https://raw.githubusercontent.com/sherjilozair/char-rnn-tensorflow/master/data/tinyshakespeare/",
        ),
        {"input.txt": "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"},
    ),
}


def available(name: str) -> bool:
    """Whether a data set's files are on this machine, so that loading it needs no network.

    Args:
        name: ``"mnist"``, ``"fashion_mnist"``, ``"tatoeba"`` or ``"shakespeare"``.

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
    return all(any(_find(folder, file) for folder in _folders(source)) for file in source.files)


def _folders(source: Source) -> list[Path]:
    """Where the files may lie: the reader's own folder, if there is one, then the cache."""
    own = os.environ.get("DLBOOK_DATA", "").strip()
    roots = [Path(own).expanduser()] if own else []
    return [root / source.folder for root in [*roots, pooch.os_cache("dlbook")]]


def _find(folder: Path, file: str) -> Path | None:
    """The file in this folder, plain or packed."""
    return next((path for path in (folder / file, folder / f"{file}.gz") if path.is_file()), None)


def read_file(source: Source, file: str) -> bytes:
    """Bytes of one file, checksum verified: the reader's own, the cached one, or a fresh download."""
    *own, cache = _folders(source)
    for folder in own:
        if path := _find(folder, file):
            content = _content(path, file)
            if not _intact(source, file, content):
                # the folder is the reader's: say so, and leave the file alone
                raise DataUnavailable(_help(source, f"{path} is damaged: its SHA-256 is not the published one"))
            return content
    if path := _find(cache, file):
        content = _content(path, file)
        if _intact(source, file, content):
            return content
        path.unlink()
        warnings.warn(f"{path} was damaged and has been removed; fetching it again", stacklevel=4)
    _download(source, file, cache)
    return (cache / file).read_bytes()


def _content(path: Path, file: str) -> bytes:
    """What the file holds, unpacked if it is packed; nothing if it cannot be."""
    content = path.read_bytes()
    if path.name == file:
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error):
        return b""


def _intact(source: Source, file: str, content: bytes) -> bool:
    return hashlib.sha256(content).hexdigest() == source.files[file]


def _download(source: Source, file: str, cache: Path) -> None:
    """Fetch one file from the first home that serves it whole; pooch verifies it, then renames it into place."""
    failures = []
    served, known_hash = source.archive or (file, f"sha256:{source.files[file]}")
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("ERROR")  # pooch announces each download on stderr; the bar says as much
    try:
        for home in source.homes:
            bar = progress_bar(1, served, unit="B", unit_scale=True)
            fetch: Any = pooch.HTTPDownloader(progressbar=False if bar.disable else bar, timeout=(5, 30))
            try:
                pooch.retrieve(home + served, known_hash, served, cache, downloader=fetch)
                if source.archive:
                    _unpack(source, file, cache / served)
                return
            except (OSError, ValueError) as error:  # no connection, 404, no space; or a wrong checksum
                failures.append(f"{home + served}: {error}")
            finally:
                bar.close()
    finally:
        logger.setLevel(level)
    raise DataUnavailable(_help(source, "\n  ".join(["it could not be downloaded:", *failures])))


def _unpack(source: Source, file: str, archive: Path) -> None:
    """Put a file beside the archive that holds it, in whatever folder, and drop the archive."""
    part = archive.with_name(f"{file}.part")
    try:
        with zipfile.ZipFile(archive) as packed:
            content = b"".join(packed.read(name) for name in packed.namelist() if PurePosixPath(name).name == file)
        if not _intact(source, file, content):
            raise ValueError(f"the archive holds no {file} with the published SHA-256")
        part.write_bytes(content)
        part.replace(archive.with_name(file))
    except zipfile.BadZipFile as error:
        raise ValueError(f"not a whole zip archive ({error})") from error
    finally:
        archive.unlink()
        part.unlink(missing_ok=True)


def _help(source: Source, reason: str) -> str:
    *own, cache = _folders(source)
    folder = own[0] if own else f"{cache} (or into {source.folder}/ of a folder that DLBOOK_DATA names)"
    files = "\n  ".join(source.files)
    homes = "\n  ".join(home + (f"{source.archive[0]} (unpack it)" if source.archive else "") for home in source.homes)
    return f"{source.folder}: {reason}\nPut these files\n  {files}\ninto {folder}. They are published at\n  {homes}"
