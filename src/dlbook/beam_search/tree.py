"""The tree that a search walks through, as plain data for a drawing."""

from collections.abc import Iterator
from typing import Any, NamedTuple


class SearchNode(NamedTuple):
    """One token of a search tree.

    Attributes:
        token: The token; the start token at the root.
        parent: Index of the node before it; -1 at the root.
        step: Number of tokens from the root, which is 0.
        log_prob: The token's own log-probability after its parent, in nats.
        total: Sum of log-probabilities from the root.
        score: What a finished hypothesis is ranked by; None for others.
        status: ``"start"`` at the root; ``"kept"`` if the search went on from here; ``"pruned"`` if it let go; else
            ``"finished"``.
        best: Whether the node lies on the best hypothesis's path.

    Source: Graves (2012), "Sequence transduction with recurrent neural networks". Chapter: beam_search.
    """

    token: int
    parent: int
    step: int
    log_prob: float
    total: float
    score: float | None
    status: str
    best: bool = False


class SearchTree(NamedTuple):
    """What a search looked at for one sentence; made by ``beam_search(..., record=n)``.

    Attributes:
        nodes: All nodes, parents before children, the better of two siblings first; the root is number 0.

    Source: Graves (2012), "Sequence transduction with recurrent neural networks". Chapter: beam_search.
    """

    nodes: list[SearchNode]

    @classmethod
    def of(cls, start: int, steps: list[dict[str, list]], best: list[int]) -> "SearchTree":
        """From each step's candidates in plain numbers, and the tokens of the best hypothesis."""
        nodes, beams = [SearchNode(start, -1, 0, 0.0, 0.0, None, "start")], [0]
        for number, step in enumerate(steps, 1):
            ids: dict[int, int] = {}
            for rank, total in enumerate(step["totals"]):
                if total == float("-inf"):
                    continue
                ended, kept = step["finishing"][rank], rank in step["kept"]
                ids[rank] = len(nodes)
                nodes.append(
                    SearchNode(
                        token=step["tokens"][rank],
                        parent=beams[step["parents"][rank]],
                        step=number,
                        log_prob=step["log_probs"][rank],
                        total=total,
                        score=step["scores"][rank] if ended else None,
                        status="finished" if ended else "kept" if kept else "pruned",
                    )
                )
            beams = [ids.get(rank, -1) for rank in step["kept"]]
        tree = cls(nodes)
        tree._mark(best)
        return tree

    def children(self, node: int) -> list[int]:
        """Indices of the nodes that follow directly."""
        return [i for i, other in enumerate(self.nodes) if other.parent == node]

    def path(self, node: int) -> list[int]:
        """Tokens from the first one after the start to this node's."""
        tokens = []
        while self.nodes[node].parent >= 0:
            tokens.append(self.nodes[node].token)
            node = self.nodes[node].parent
        return tokens[::-1]

    def find(self, tokens: list[int]) -> int | None:
        """The node that these tokens lead to, None where the search never was."""
        node = 0
        for token in tokens:
            found = [i for i in self.children(node) if self.nodes[i].token == token]
            if not found:
                return None
            node = found[0]
        return node

    def positions(self) -> list[tuple[float, float]]:
        """Where to draw each node: its step, and a height that keeps families together, from 0 (top) up to 1.

        Leaves stand at equal distances, parents in the middle of their children.
        """
        below: dict[int, list[int]] = {}
        for i, node in enumerate(self.nodes):
            below.setdefault(node.parent, []).append(i)
        heights: dict[int, float] = {}
        for rank, leaf in enumerate(self._leaves(below)):
            heights[leaf] = float(rank)
        last = max(heights.values()) or 1.0
        for i in reversed(range(len(self.nodes))):
            if i in below:
                heights[i] = (heights[below[i][0]] + heights[below[i][-1]]) / 2
        return [(float(node.step), heights[i] / last) for i, node in enumerate(self.nodes)]

    def _leaves(self, below: dict[int, list[int]]) -> Iterator[int]:
        """Nodes without children, family by family."""
        stack = [0]
        while stack:
            node = stack.pop()
            if node in below:
                stack.extend(reversed(below[node]))
            else:
                yield node

    def _mark(self, best: list[int]) -> None:
        node: Any = self.find(best) if best else None
        while node is not None and node >= 0:
            self.nodes[node] = self.nodes[node]._replace(best=True)
            node = self.nodes[node].parent
