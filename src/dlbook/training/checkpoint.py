"""What a run consists of besides its settings: random numbers, weights, history; seeded, saved, restored."""

import copy
import io
import math
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from dlbook._checks import check_range

History = dict[str, list[float]]


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's random numbers, on every device, so that a run can be repeated.

    The same seed gives the same numbers on the same machine and versions; a GPU may still add in another order.

    Args:
        seed: Any whole number in ``[0, 2**32)``.

    Raises:
        ValueError: If the seed is out of range.

    Example:
        >>> seed_everything(0)
        >>> torch.rand(1)
        tensor([0.4963])

    Source: torch's notes on reproducibility. Chapter: every one.
    """
    check_range("seed", seed, 0, 2**32 - 1)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  (readers' own code may still draw from NumPy's global generator)
    torch.manual_seed(seed)


class Run:
    """All that changes while a model trains, and so all that a checkpoint holds."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        scheduler: LRScheduler | None,
        settings: dict,
        device: torch.device,
    ) -> None:
        self.model, self.optimizer, self.scheduler, self.settings = model, optimizer, scheduler, settings
        self.generator = torch.Generator(device).manual_seed(int(torch.randint(2**31, ())))
        self.history: History = {}
        self.best: dict[str, Any] = {}

    @property
    def epochs(self) -> int:
        """Whole epochs behind it."""
        return len(self.history.get("epoch", ()))

    def stale(self) -> int:
        """Epochs since the validation loss was last at its lowest."""
        if self.epochs == 0:
            return 0
        losses = [math.inf if math.isnan(value) else value for value in self.history["validation_loss"]]
        return len(losses) - 1 - losses.index(min(losses))

    def add(self, record: dict[str, float]) -> None:
        """Append an epoch to the history, and keep the weights if it is the best one."""
        for name, value in record.items():
            self.history.setdefault(name, []).append(value)
        if self.settings["early_stopping"] and self.stale() == 0:
            self.best = copy.deepcopy(self.model.state_dict())

    def save(self, path: Path) -> None:
        """Write beside the file, then rename: whoever reads finds the old one or the new one, never half of one."""
        name, keys, *rest = np.random.get_state()  # noqa: NPY002
        content = {
            "settings": self.settings,
            "history": self.history,
            "best": self.best,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict() if self.scheduler is not None else None,
            "shuffle": self.generator.get_state(),
            "python": random.getstate(),
            "numpy": (name, keys.tolist(), *rest),  # type: ignore[union-attr]
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        try:
            torch.save(content, part)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)

    def load(self, path: Path) -> None:
        """Go on from a saved run; nothing but tensors, numbers and text is unpickled."""
        written = io.BytesIO(path.read_bytes())
        try:
            content = torch.load(written, map_location="cpu", weights_only=True)
            settings = content["settings"]
        except Exception as error:  # rubbish makes an unpickler raise almost anything
            raise ValueError(f"checkpoint: expected a file that fit wrote; {path} is none ({error})") from error
        if settings != self.settings:
            raise ValueError(f"checkpoint: {path} was written with {settings}; this run has {self.settings}")
        try:
            self.model.load_state_dict(content["model"])
            self.optimizer.load_state_dict(content["optimizer"])
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"checkpoint: {path} is of another model or optimizer ({error})") from error
        if self.scheduler is not None and content["scheduler"] is not None:
            self.scheduler.load_state_dict(content["scheduler"])
        self.history, self.best = content["history"], content["best"]
        self.generator.set_state(content["shuffle"])
        random.setstate(content["python"])
        np.random.set_state(content["numpy"])  # noqa: NPY002
        torch.set_rng_state(content["torch"])
        if torch.cuda.is_available():
            for index, state in enumerate(content["cuda"][: torch.cuda.device_count()]):
                torch.cuda.set_rng_state(state, index)
