"""Early stopping: the number of steps as a regularizer, chosen by data that training does not see."""

import math

from torch import Tensor, nn

from dlbook._checks import check_option, check_range


class EarlyStopping:
    """Watches a validation score and says when to stop; keeps the best weights.

    Args:
        patience: How many updates in a row may bring nothing better before it says stop; 1 or more.
        min_delta: By how much a score must be better to count as better.
        mode: ``"min"`` where lower is better, as for a loss; ``"max"`` where higher is, as for an accuracy.

    Attributes:
        best: The best score so far.
        best_step: Which update brought it, from 0; -1 before any.
        stopped: Whether patience has run out.

    Raises:
        ValueError: If a number is out of range or the mode unknown.

    Example:
        >>> stopping = EarlyStopping(patience=2)
        >>> [stopping.update(loss) for loss in (3.0, 1.0, 2.0, 1.5)]
        [False, False, False, True]
        >>> stopping.best, stopping.best_step
        (1.0, 1)

    Source: Prechelt (1998); Goodfellow et al. (2016), section 7.8. Chapter: regularization.
    """

    def __init__(self, patience: int = 10, min_delta: float = 0.0, mode: str = "min") -> None:
        check_range("patience", patience, 1)
        check_range("min_delta", min_delta, 0)
        check_option("mode", mode, ("min", "max"))
        self.patience, self.min_delta, self.mode = patience, min_delta, mode
        self.best, self.best_step, self._steps = math.inf if mode == "min" else -math.inf, -1, 0
        self._weights: dict[str, Tensor] | None = None

    @property
    def stopped(self) -> bool:
        """Whether patience has run out."""
        return self._steps - self.best_step > self.patience

    def update(self, score: float | Tensor, model: nn.Module | None = None) -> bool:
        """Take note of a score; keep a copy of the model's weights if it is the best; say whether to stop."""
        score = float(score)
        gain = self.best - score if self.mode == "min" else score - self.best
        if gain > self.min_delta:  # never so for NaN
            self.best, self.best_step = score, self._steps
            if model is not None:
                self._weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self._steps += 1
        return self.stopped

    def restore(self, model: nn.Module) -> None:
        """Put the best weights back into the model.

        Raises:
            ValueError: If no update brought a model.
        """
        if self._weights is None:
            raise ValueError("model: expected it in an update that improved the score; got none so far")
        model.load_state_dict(self._weights)
