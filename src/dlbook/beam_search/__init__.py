"""Search for the best sentence, when a model can only tell how likely each next word is.

All searches talk to the model through one function, ``step(tokens, state) -> (log_probs, state)``: the last token of
every row goes in, the log-probabilities of the next one come out, and ``state`` carries whatever the model remembers.
``walks`` follows one hypothesis at a time, the best or a random one; ``beam`` keeps the few best; ``exhaustive`` tries
them all, ``exact`` as many as it takes to be sure; ``scoring`` says what a finished one is worth; ``tree`` keeps what a
search looked at, for drawing; ``steps`` has a model made of a table, and what a decoder needs so that its cache need
not follow the hypotheses around.
"""

from dlbook.beam_search._search import Hypotheses
from dlbook.beam_search.beam import beam_search
from dlbook.beam_search.exact import exact_search
from dlbook.beam_search.exhaustive import exhaustive_search
from dlbook.beam_search.scoring import coverage_penalty, length_divisor
from dlbook.beam_search.steps import Ancestry, table_step
from dlbook.beam_search.tree import SearchNode, SearchTree
from dlbook.beam_search.walks import greedy_search, sample, sampling_distribution

__all__ = [
    "Ancestry",
    "Hypotheses",
    "SearchNode",
    "SearchTree",
    "beam_search",
    "coverage_penalty",
    "exact_search",
    "exhaustive_search",
    "greedy_search",
    "length_divisor",
    "sample",
    "sampling_distribution",
    "table_step",
]
