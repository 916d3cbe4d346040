"""One progress bar for everything that takes a while.

It shows only where somebody watches: in a terminal, or as a widget in a live notebook. In a script's log, in a test
and in a page that is being built it stays silent, so that nothing but results reaches the output.
"""

import os
import sys
from typing import Any


def progress_bar(total: int, description: str, **options: Any) -> Any:
    """A tqdm bar that appears after a second, if anyone is there to see it, and goes away at the end.

    Args:
        total: Number of steps to come, at least 1.
        description: What is going on, in a word or two.
        **options: Further options of ``tqdm.tqdm``, such as ``unit``.
    """
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if hasattr(shell, "kernel"):
        from tqdm.notebook import tqdm

        watched = os.environ.get("DLBOOK_STATIC") != "1"
    else:
        from tqdm.std import tqdm

        watched = sys.stderr.isatty()
    return tqdm(total=total, desc=description, disable=not watched, leave=False, delay=1.0, **options)
