"""Metrics of scores over classes: how far down the truth ranks, and whether a probability means what it says."""

import torch
from jaxtyping import Float, Int, Real, Shaped
from torch import Tensor

from dlbook._checks import check_floating, check_ndim, check_range, check_tensor

from ._common import check_pair, mean


def top_k_accuracy(
    y_true: Int[Tensor, " n"],
    y_score: Real[Tensor, "n classes"],
    *,
    k: int = 2,
    normalize: bool = True,
    sample_weight: Shaped[Tensor, " n"] | None = None,
) -> Float[Tensor, ""]:
    r"""Share of examples whose true class is among the ``k`` with the highest scores.

    Of classes that tie, the one with the higher index ranks first, as in scikit-learn.

    Args:
        y_true: Indices of the true classes.
        y_score: Scores of the classes, higher for what looks more likely.
        k: How many classes may be named.
        normalize: Whether to give the share; the number of hits otherwise.
        sample_weight: Weight of each example; 1 when ``None``.

    Returns:
        A share in ``[0, 1]``; best value 1.

    Raises:
        TypeError: If an argument is no tensor.
        ValueError: If the shapes do not fit, ``k`` is below 1, or a label is no class.

    Example:
        >>> top_k_accuracy(torch.tensor([0, 1]), torch.tensor([[0.1, 0.2, 0.7], [0.3, 0.3, 0.4]]))
        tensor(0.5000)

    Source: sklearn.metrics.top_k_accuracy_score. Chapter: metrics.
    """
    check_pair("y_true", y_true, "y_score", y_score, sample_weight)
    check_ndim("y_true", y_true, (1,), "(n,)")
    check_ndim("y_score", y_score, (2,), "(n, classes)")
    check_range("k", k, 1)
    _check_classes("y_true", y_true, y_score.shape[1])
    label = y_true.long()[:, None]
    own, index = y_score.gather(1, label), torch.arange(y_score.shape[1], device=y_score.device)
    better = (y_score > own) | ((y_score == own) & (index > label))
    hit = (better.sum(1) < k).to(torch.get_default_dtype())
    return mean(hit, sample_weight, normalize)


def perplexity(
    logits: Float[Tensor, "*batch classes"], target: Int[Tensor, "*batch"], *, ignore_index: int = -100
) -> Float[Tensor, ""]:
    r"""Exponential of the mean cross-entropy: among how many equally likely words the model seems to choose.

    .. math:: \exp\Bigl(-\frac{1}{n} \sum_i \log p_i(y_i)\Bigr)

    Args:
        logits: Scores of the words. Log-probabilities do as well: they are logits that are already normalised.
        target: Indices of the words that came.
        ignore_index: Positions with this target do not count.

    Returns:
        A number of words, 1 or more; best value 1. NaN when nothing counts.

    Raises:
        TypeError: If ``logits`` is no floating-point tensor.
        ValueError: If the shapes do not fit or a target is no class.

    Example:
        >>> perplexity(torch.zeros(3, 10), torch.tensor([1, 4, 7]))
        tensor(10.)

    Source: Jelinek et al. (1977); Jurafsky and Martin, "Speech and Language Processing", chapter 3. Chapter: metrics.
    """
    check_floating("logits", logits)
    check_tensor("target", target)
    if logits.shape[:-1] != target.shape or not logits.ndim:
        raise ValueError(f"target: expected shape {tuple(logits.shape[:-1])}; got {tuple(target.shape)}")
    counted = target != ignore_index
    label = torch.where(counted, target, 0).long()
    _check_classes("target", label, logits.shape[-1])
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if not wide.numel():
        return wide.new_full((), torch.nan)
    surprise = wide.logsumexp(-1) - wide.gather(-1, label[..., None]).squeeze(-1)
    return (torch.where(counted, surprise, 0).sum() / counted.sum()).exp()


def expected_calibration_error(
    probs: Float[Tensor, "n classes"], target: Int[Tensor, " n"], *, n_bins: int = 15
) -> Float[Tensor, ""]:
    r"""Mean gap between how sure a model is and how often it is right.

    .. math:: \sum_b \frac{n_b}{n} \bigl|\operatorname{accuracy}(b) - \operatorname{confidence}(b)\bigr|

    The examples are sorted by the probability of the predicted class into bins of equal width, each closed on the
    right.

    Args:
        probs: Probabilities of the classes.
        target: Indices of the true classes.
        n_bins: Number of bins.

    Returns:
        A number in ``[0, 1]``; best value 0. NaN when there are no examples.

    Raises:
        TypeError: If ``probs`` is no floating-point tensor.
        ValueError: If the shapes do not fit, ``n_bins`` is below 1, or a probability is outside ``[0, 1]``.

    Example:
        >>> expected_calibration_error(torch.tensor([[0.9, 0.1], [0.8, 0.2]]), torch.tensor([0, 1]))
        tensor(0.4500)

    Source: Guo et al. (2017), "On calibration of modern neural networks". Chapter: metrics.
    """
    check_floating("probs", probs)
    check_pair("target", target, "probs", probs, None)
    check_ndim("probs", probs, (2,), "(n, classes)")
    check_ndim("target", target, (1,), "(n,)")
    check_range("n_bins", n_bins, 1)
    probs = probs.to(torch.promote_types(probs.dtype, torch.float32))
    if not torch.compiler.is_compiling() and not bool(((probs >= 0) & (probs <= 1)).all()):
        raise ValueError("probs: expected probabilities in [0, 1]; got numbers outside it")
    if not len(probs):
        return probs.new_full((), torch.nan)
    confidence, said = probs.max(1)
    edges = torch.linspace(0, 1, n_bins + 1, device=probs.device, dtype=probs.dtype)[1:-1]
    gap = (said == target).to(probs.dtype) - confidence
    # Within a bin accuracy minus confidence is the mean of the gaps, so n_b times it is their sum.
    return probs.new_zeros(n_bins).index_add(0, torch.bucketize(confidence, edges), gap).abs().sum() / len(probs)


def _check_classes(name: str, index: Tensor, classes: int) -> None:
    """Raise unless each index is that of a class; not while compiling, where no value is known yet."""
    if not torch.compiler.is_compiling() and index.numel() and not bool(((index >= 0) & (index < classes)).all()):
        raise ValueError(
            f"{name}: expected class indices in [0, {classes}); got {int(index.min())} to {int(index.max())}"
        )
