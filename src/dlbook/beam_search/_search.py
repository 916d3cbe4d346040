"""What all searches share: the call of a step, the reordering of its state, what may be said, and the result."""

import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dlbook._checks import check_range, check_tensor
from dlbook.beam_search.tree import SearchTree

Step = Callable[[Tensor, Any], tuple[Tensor, Any]]
Tokens = int | Sequence[int] | None


class Hypotheses(NamedTuple):
    """What a search found for each sentence, the best hypothesis first.

    Where there are fewer hypotheses than were asked for, the places left over have score ``-inf`` and length 0.

    Attributes:
        tokens: The tokens, the end among them and the start not, filled up with ``pad``.
        scores: What the hypotheses are ranked by; higher is better.
        log_probs: Sum of each hypothesis's log-probabilities, in nats; at most 0.
        lengths: Number of tokens, the end included.
        trees: One tree per sentence, where the search was asked to record it.

    Source: Sutskever et al. (2014), "Sequence to sequence learning with neural networks". Chapter: beam_search.
    """

    tokens: Int[Tensor, "batch hypotheses length"]
    scores: Float[Tensor, "batch hypotheses"]
    log_probs: Float[Tensor, "batch hypotheses"]
    lengths: Int[Tensor, "batch hypotheses"]
    trees: tuple[SearchTree, ...] = ()


@dataclasses.dataclass(frozen=True)
class Limits:
    """How long a hypothesis may be, which tokens end it, which it may not hold."""

    max_length: int
    min_length: int
    end: tuple[int, ...]
    forbidden: tuple[int, ...]
    pad: int

    @classmethod
    def of(cls, max_length: int, min_length: int, end: Tokens, forbidden: Tokens, pad: int) -> "Limits":
        check_range("max_length", max_length, 1)
        check_range("min_length", min_length, 0, max_length)
        return cls(max_length, min_length, _tuple(end), _tuple(forbidden), pad)

    def run(self, step: Step, tokens: Tensor, state: Any, length: int) -> tuple[Tensor, Any]:
        """Log-probabilities for the token number ``length``, minus infinity where it is not allowed."""
        answer = step(tokens, state)
        if not (isinstance(answer, tuple) and len(answer) == 2):
            raise TypeError(f"step: expected it to return (log_probs, state); got {type(answer).__name__}")
        log_probs, state = answer
        check_tensor("step's log_probs", log_probs)
        if not log_probs.is_floating_point():
            raise TypeError(f"step's log_probs: expected floating point; got dtype {log_probs.dtype}")
        if log_probs.ndim != 2 or len(log_probs) != len(tokens) or not log_probs.shape[1]:
            raise ValueError(
                f"step's log_probs: expected shape ({len(tokens)}, vocabulary); got {tuple(log_probs.shape)}"
            )
        for name, some in (("end", self.end), ("forbidden", self.forbidden)):
            if some and not 0 <= min(some) <= max(some) < log_probs.shape[1]:
                raise ValueError(f"{name}: expected tokens from 0 to {log_probs.shape[1] - 1}; got {some}")
        hidden = self.forbidden + (self.end if length < self.min_length else ())
        if hidden:
            log_probs = log_probs.index_fill(1, torch.tensor(hidden, device=log_probs.device), -torch.inf)
        return log_probs, state

    def ends(self, tokens: Tensor) -> Tensor:
        """Where a token ends its hypothesis."""
        ended = torch.zeros_like(tokens, dtype=torch.bool)
        for end in self.end:
            ended |= tokens == end
        return ended

    def result(
        self, tokens: Tensor, scores: Tensor, log_probs: Tensor, lengths: Tensor, trees: tuple[SearchTree, ...] = ()
    ) -> Hypotheses:
        """The tensors as :class:`Hypotheses`, cut to the longest; what is impossible has no tokens."""
        lengths = lengths.masked_fill(log_probs == -torch.inf, 0)
        longest = int(lengths.max()) if lengths.numel() else 0
        tokens = tokens[..., :longest]
        beyond = torch.arange(longest, device=tokens.device) >= lengths[..., None]
        return Hypotheses(tokens.masked_fill(beyond, self.pad), scores, log_probs, lengths, trees)


def check_start(start: Tensor) -> None:
    """Raise unless ``start`` is one whole number per sentence."""
    check_tensor("start", start)
    if start.is_floating_point() or start.is_complex() or start.dtype == torch.bool:
        raise TypeError(f"start: expected whole numbers; got dtype {start.dtype}")
    if start.ndim != 1:
        raise ValueError(f"start: expected one token per sentence, shape (batch,); got {tuple(start.shape)}")


def full(log_probs: Tensor) -> Tensor:
    """Half precision widened to float32: a sum of forty terms would lose what tells hypotheses apart."""
    return log_probs.float() if log_probs.dtype in (torch.bfloat16, torch.float16) else log_probs


def reorder(state: Any, index: Tensor, rows: int) -> Any:
    """The state whose row ``i`` is the given one's row ``index[i]``, whatever it is nested in."""
    if isinstance(state, Tensor):
        if not state.ndim:
            return state
        if len(state) != rows:
            raise ValueError(f"state: expected tensors of {rows} rows first; got shape {tuple(state.shape)}")
        return state.index_select(0, index)
    if hasattr(state, "reorder"):
        return state.reorder(index)
    if isinstance(state, dict):
        new = copy.copy(state)
        new.update({key: reorder(value, index, rows) for key, value in state.items()})
        return new
    if isinstance(state, (list, tuple)):
        parts = [reorder(value, index, rows) for value in state]
        return type(state)(*parts) if hasattr(state, "_fields") else type(state)(parts)
    if dataclasses.is_dataclass(state):
        fields = {f.name: reorder(getattr(state, f.name), index, rows) for f in dataclasses.fields(state)}
        return dataclasses.replace(cast(Any, state), **fields)
    if state is None or isinstance(state, (bool, int, float, str)):
        return state
    raise TypeError(
        "state: expected tensors, None or numbers, in tuples, lists, dicts or dataclasses, or objects with "
        f"reorder(index); got {type(state).__name__}"
    )


def rows_of(parents: Tensor, rows: int) -> Tensor:
    """The parents, numbered within their sentences, as rows of the whole batch."""
    batch = max(len(parents), 1)
    return (parents + torch.arange(len(parents), device=parents.device)[:, None] * (rows // batch)).flatten()


class Finished:
    """The best ``count`` hypotheses of each sentence that have come to their end."""

    def __init__(self, batch: int, count: int, limits: Limits, like: Tensor) -> None:
        self.scores = like.new_full((batch, count), -torch.inf)
        self.log_probs = self.scores
        self.lengths = torch.zeros_like(self.scores, dtype=torch.long)
        self.tokens = self.lengths[:, :, None].repeat(1, 1, limits.max_length)

    def add(self, scores: Tensor, log_probs: Tensor, tokens: Tensor) -> None:
        """Let hypotheses of one length compete with the earlier ones; of equal scores the earlier stays ahead."""
        missing = self.tokens.shape[2] - tokens.shape[2]
        every = torch.cat([self.scores, scores], 1)
        best = every.sort(dim=1, descending=True, stable=True).indices[:, : self.scores.shape[1]]
        lengths = torch.full_like(scores, tokens.shape[2], dtype=torch.long)
        padded = torch.nn.functional.pad(tokens, (0, missing))
        self.scores = every.gather(1, best)
        self.log_probs = torch.cat([self.log_probs, log_probs], 1).gather(1, best)
        self.lengths = torch.cat([self.lengths, lengths], 1).gather(1, best)
        self.tokens = pick(torch.cat([self.tokens, padded], 1), best)


def pick(tokens: Tensor, index: Tensor) -> Tensor:
    """The hypotheses (dimension 1) that the index names, with all their tokens (dimension 2)."""
    return tokens.gather(1, index[:, :, None].expand(-1, -1, tokens.shape[2]))


def _tuple(tokens: Tokens) -> tuple[int, ...]:
    return () if tokens is None else (tokens,) if isinstance(tokens, int) else tuple(tokens)
