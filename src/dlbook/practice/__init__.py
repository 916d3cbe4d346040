"""Reading the book's kernels, holding your own against them, and quoting what a run measured.

``show`` puts a kernel's source on the page, the very text that runs and is tested. ``compare`` runs your function and
a reference on the same inputs, ordinary ones and awkward ones, and shows the first on which they differ. ``note`` and
``table`` carry results into the text.
"""

from dlbook.practice.comparison import compare
from dlbook.practice.prose import note, table
from dlbook.practice.source import show

__all__ = ["compare", "note", "show", "table"]
