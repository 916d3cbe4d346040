"""The digit ladder: MNIST from mean darkness to a committee of networks, one idea a rung, of this book's own parts.

``rungs`` says what a rung is and has those without pictures' neighbourhoods: mean darkness, the support vector machine,
dense networks. ``pictures`` has the convolutional ones. ``climbing`` runs rungs over seeds and keeps what came out.
``python -m dlbook.ladder`` does that from the command line.
"""

from dlbook.ladder.climbing import climb, summary
from dlbook.ladder.ladder import LADDER
from dlbook.ladder.rungs import Learned, Lesson, Rung

__all__ = ["LADDER", "Learned", "Lesson", "Rung", "climb", "summary"]
