"""Reading the book's kernels, and holding your own against them.

``show`` puts a kernel's source on the page, the very text that runs and is tested. ``compare`` runs your function and
a reference on the same inputs, ordinary ones and awkward ones, and shows the first on which they differ.
"""

from dlbook.practice.comparison import compare
from dlbook.practice.source import show

__all__ = ["compare", "show"]
