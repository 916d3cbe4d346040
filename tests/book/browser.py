"""Where a Chromium is on this machine. Run as a script, it says so, or what to install."""

import os
import shutil
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")


def find() -> str | None:
    """Path of a Chromium-like browser: ``DLBOOK_BROWSER``, or the first one on the PATH."""
    return os.environ.get("DLBOOK_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)


if __name__ == "__main__":
    if find() is None:
        sys.exit(
            "make test opens the book in a browser and found none: install Chromium (Debian, Ubuntu: "
            "apt install chromium) or Chrome, or set DLBOOK_BROWSER to the path of one"
        )
