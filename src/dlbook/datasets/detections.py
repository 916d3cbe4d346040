"""Seven pictures with their true boxes and a detector's: the example on which published figures of AP were computed.

The boxes alone are here, for they are all that a metric sees: 15 true ones and 24 detected ones, of one class.
"""

import torch
from torch import Tensor

# A line for each picture, its boxes parted by "|": confidence in per cent, left, top, width, height.
_DETECTED = """\
88 5 67 31 48|70 119 111 40 67|80 124 9 49 67
71 64 111 64 58|54 26 140 60 47|74 19 18 43 35
18 109 15 77 39|67 86 63 46 45|38 160 62 36 53|91 105 131 47 47|44 18 148 40 44
35 83 28 28 26|78 28 68 42 67|45 87 89 25 39|14 10 155 60 26
62 50 38 28 46|44 95 11 53 28|95 29 131 72 29|23 29 163 72 29
45 43 48 74 38|84 17 155 29 35|43 95 110 25 42
48 16 20 101 88|95 33 116 37 49"""
# Left, top, width, height.
_TRUE = """\
25 16 38 56|129 123 41 62
123 11 43 55|38 132 59 45
16 14 35 48|123 30 49 44|99 139 47 47
53 42 40 52|154 43 31 34
59 31 44 51|48 128 34 52
36 89 52 76|62 58 44 67
28 31 55 63|58 67 50 58"""


def seven_pictures() -> tuple[list[dict[str, Tensor]], list[dict[str, Tensor]]]:
    """Detected and true boxes of seven pictures, as ``metrics.mean_average_precision`` takes them.

    The boxes are in the convention of VOC, where right and bottom name the last pixel inside (``inclusive=True``). At
    an IoU of 0.3 the published average precision is 26.84 % from eleven points and 24.57 % from every point. Two
    detections have the score 0.95; these figures take them in the order given here.

    Returns:
        For each picture the detected ``"boxes"`` (left, top, right, bottom, in pixels), ``"scores"`` and ``"labels"``;
        and for each the true ``"boxes"`` and ``"labels"``. Every label is 0.

    Example:
        >>> predictions, targets = seven_pictures()
        >>> predictions[6]["scores"], len(targets[6]["boxes"])
        (tensor([0.4800, 0.9500]), 2)

    Source: Padilla, Netto and da Silva (2020), whose repository Object-Detection-Metrics has them, licence MIT.
    Chapter: metrics.
    """
    predictions, targets = ([_picture(line) for line in text.split("\n")] for text in (_DETECTED, _TRUE))
    return predictions, targets


def _picture(line: str) -> dict[str, Tensor]:
    table = torch.tensor([[float(number) for number in box.split()] for box in line.split("|")])
    corner, size = table[:, -4:-2], table[:, -2:]
    found = {"boxes": torch.cat([corner, corner + size], 1), "labels": torch.zeros(len(table), dtype=torch.long)}
    return found | {"scores": table[:, 0] / 100} if table.shape[1] == 5 else found
