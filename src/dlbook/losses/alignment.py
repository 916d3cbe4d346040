r"""Connectionist temporal classification: a loss for sequences whose targets say what comes, but not when.

A speech recogniser sees 500 frames and is told "hello". CTC lets it emit a *blank* in any frame, merges repeats, and
adds up the probabilities of every way in which the frames can then spell the target: not by listing the ways, of which
there are astronomically many, but by a recursion over time, like the forward pass of a hidden Markov model.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dlbook._checks import check_floating, check_ndim, check_option, check_range, check_tensor

from ._common import REDUCTIONS, check_classes, check_values, reduce, widen

# Stands for the logarithm of 0. A true -inf would give NaN gradients in every difference of two of them.
FLOOR = -1e30


def ctc_loss(
    log_probs: Float[Tensor, "..."],
    targets: Int[Tensor, "..."],
    input_lengths: Int[Tensor, "..."] | Sequence[int],
    target_lengths: Int[Tensor, "..."] | Sequence[int],
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Float[Tensor, "..."]:
    r"""Negative log-probability that the frames spell the target, summed over all alignments.

    .. math:: \ell = -\log\sum_{\pi \to y}\;\prod_t p_t(\pi_t)

    With blanks between and around the target's labels, let :math:`\alpha_t(s)` be the probability of all beginnings
    that have reached place :math:`s` at time :math:`t`. A beginning stays, goes on by one, or skips a blank between
    two different labels:

    .. math:: \alpha_t(s) = p_t(y'_s)\,\big(\alpha_{t-1}(s) + \alpha_{t-1}(s-1) + [\text{skip}]\,\alpha_{t-1}(s-2)\big)

    The gradient is the exact one with respect to ``log_probs``; torch returns another, which is equal once it has
    passed through the log-softmax.

    Args:
        log_probs: Log-probabilities, ``(time, batch, classes)`` or ``(time, classes)``.
        targets: Labels, ``(batch, length)`` padded with anything, or all of them one after another.
        input_lengths: Frames of each sequence.
        target_lengths: Labels of each target.
        blank: The class that stands for nothing.
        reduction: ``"none"``, ``"mean"`` or ``"sum"``; the mean divides each loss by its target's length first.
        zero_infinity: Whether a target that the frames cannot spell costs 0 instead of infinity.

    Returns:
        One loss for each sequence, or their mean or sum, in nats; best value 0.

    Raises:
        TypeError: If ``log_probs`` is not floating point or ``targets`` not of an integer dtype.
        ValueError: If shapes, lengths, labels or ``blank`` do not fit, or ``reduction`` is unknown.

    Example:
        >>> frames = torch.tensor([[0.5, 0.5], [0.5, 0.5]]).log()  # "-a", "a-" and "aa" of four ways spell "a"
        >>> ctc_loss(frames, torch.tensor([1]), (2,), (1,)).exp()
        tensor(1.3333)

    Source: Graves et al. (2006). Chapter: losses.
    """
    check_option("reduction", reduction, REDUCTIONS)
    check_floating("log_probs", log_probs)
    check_tensor("targets", targets)
    check_ndim("log_probs", log_probs, (2, 3), "(time, batch, classes) or (time, classes)")
    batched = log_probs.ndim == 3
    scores = widen(log_probs if batched else log_probs.unsqueeze(1))
    time, batch, classes = scores.shape
    check_range("blank", blank, 0, classes - 1)
    frames = _lengths("input_lengths", input_lengths, batch, time, scores.device)
    lengths = _lengths("target_lengths", target_lengths, batch, None, scores.device)
    labels = _padded(targets if batched else targets.reshape(1, -1), lengths, classes, blank)
    loss = _negative_log_likelihood(scores.clamp(min=FLOOR), labels, frames, lengths, blank)
    impossible = loss > -FLOOR / 2
    loss = torch.where(impossible, 0.0 if zero_infinity else torch.inf, loss)
    if reduction == "mean":
        loss = loss / lengths.clamp(min=1)
    return reduce(loss if batched else loss.reshape(()), reduction, log_probs.dtype)


def _negative_log_likelihood(scores: Tensor, labels: Tensor, frames: Tensor, lengths: Tensor, blank: int) -> Tensor:
    """The recursion over time, for all sequences and all places at once."""
    batch, longest = labels.shape
    places = torch.full((batch, 2 * longest + 1), blank, device=labels.device)
    places[:, 1::2] = labels
    # A skip leads to a label that differs from the label two places before; from a blank it never does.
    skip = torch.nn.functional.pad(places[:, 2:] != places[:, :-2], (2, 0))
    # What each place emits at each time: gathered at once, so that the loop only adds.
    emitted = scores.gather(2, places.expand(len(scores), -1, -1))
    # Before the first frame everything waits at place 0, from where the first frame may stay or go on.
    alpha = scores.new_full(places.shape, FLOOR)
    alpha[:, 0] = 0
    for t, emission in enumerate(emitted):
        padded = torch.nn.functional.pad(alpha, (2, 0), value=FLOOR)
        reached = torch.logaddexp(alpha, padded[:, 1:-1])
        reached = torch.logaddexp(reached, torch.where(skip, padded[:, :-2], FLOOR))
        alpha = torch.where((t < frames).unsqueeze(1), reached + emission, alpha)
    # The last label or the blank after it.
    last = 2 * lengths.unsqueeze(1)
    end = alpha.gather(1, last).squeeze(1)
    before = alpha.gather(1, (last - 1).clamp(min=0)).squeeze(1)
    return -torch.where(lengths > 0, torch.logaddexp(end, before), end)


def _lengths(name: str, value: Tensor | Sequence[int], batch: int, most: int | None, device: torch.device) -> Tensor:
    """The lengths as a tensor of one number for each sequence."""
    lengths = torch.as_tensor(value, device=device).long().reshape(-1)
    if len(lengths) != batch:
        raise ValueError(f"{name}: expected {batch} lengths, one for each sequence; got {len(lengths)}")
    wrong = lengths < 0 if most is None else (lengths < 0) | (lengths > most)
    check_values(
        name, wrong, "lengths of 0 or more" + ("" if most is None else f", at most the {most} frames there are")
    )
    return lengths


def _padded(targets: Tensor, lengths: Tensor, classes: int, blank: int) -> Tensor:
    """Labels as ``(batch, length)``, blanks in place of the padding."""
    if targets.ndim == 1:
        starts = lengths.cumsum(0) - lengths
        if int(lengths.sum()) != len(targets):
            raise ValueError(
                f"targets: expected {int(lengths.sum())} labels, as target_lengths says; got {len(targets)}"
            )
        longest = int(lengths.max()) if len(lengths) else 0
        index = starts.unsqueeze(1) + torch.arange(longest, device=targets.device)
        targets = targets[index.clamp(max=max(len(targets) - 1, 0))] if len(targets) else index
    elif targets.ndim != 2 or len(targets) != len(lengths):
        raise ValueError(
            f"targets: expected shape ({len(lengths)}, length), or all labels in one row; got {tuple(targets.shape)}"
        )
    check_values("target_lengths", lengths > targets.shape[1], f"lengths of at most {targets.shape[1]}, as targets has")
    inside = torch.arange(targets.shape[1], device=targets.device) < lengths.unsqueeze(1)
    labels = torch.where(inside, targets, blank)
    check_classes("targets", labels, classes)
    return labels.long()
