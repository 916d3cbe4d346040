"""Embedding: a table of learned vectors, looked up by number."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from dlbook._checks import check_ndim, check_tensor, check_whole


def embedding(
    input: Int[Tensor, "*shape"],
    weight: Float[Tensor, "num_embeddings embedding_dim"],
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Float[Tensor, "*shape embedding_dim"]:
    r"""Looks up rows of a table, such as the vectors of words.

    .. math:: y_i = W_{x_i}

    Args:
        input: Row numbers, of dtype int64 or int32.
        weight: The table.
        padding_idx: A row that gets no gradient, so that training leaves it as it is; may be negative.
        max_norm: Rows that are looked up and longer than this are shortened to it, **in the table itself**.
        norm_type: Degree of the norm for ``max_norm``.
        scale_grad_by_freq: Whether to divide a row's gradient by how often it was looked up.
        sparse: Whether the table's gradient is a sparse tensor.

    Returns:
        One row for each number.

    Raises:
        TypeError: If an argument is no tensor or ``input`` is not of int64 or int32.
        ValueError: If ``weight`` has not two axes, a number is no row's, or ``sparse`` meets ``scale_grad_by_freq``.

    Example:
        >>> embedding(torch.tensor([2, 0]), torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]))
        tensor([[4., 5.],
                [0., 1.]])

    Source: Bengio et al. (2003), "A neural probabilistic language model"; torch.nn.functional.embedding. Chapter:
        neurons.
    """
    check_tensor("input", input)
    check_tensor("weight", weight)
    check_ndim("weight", weight, (2,), "(num_embeddings, embedding_dim)")
    if input.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"input: expected dtype torch.int64 or torch.int32; got {input.dtype}")
    if sparse and scale_grad_by_freq:
        raise ValueError("sparse: expected False, as scale_grad_by_freq is set; got True")
    padding = -1 if padding_idx is None else _row("padding_idx", padding_idx, len(weight))
    index = input.flatten()
    try:
        if max_norm is not None:
            _shorten(weight, index, max_norm, norm_type)
        rows: Tensor = _Lookup.apply(weight, index, padding, scale_grad_by_freq, sparse)  # type: ignore[assignment]
    except IndexError:
        low, high = int(input.min()), int(input.max())
        raise ValueError(f"input: expected row numbers in [0, {len(weight)}); got {low} to {high}") from None
    return rows.view(*input.shape, weight.shape[1])


def _row(name: str, index: int, rows: int) -> int:
    if not -rows <= index < rows:
        raise ValueError(f"{name}: expected a row number in [-{rows}, {rows}); got {index}")
    return index % rows


@torch.no_grad()
def _shorten(weight: Tensor, index: Tensor, max_norm: float, norm_type: float) -> None:
    rows = weight[index]
    length = torch.linalg.vector_norm(rows, norm_type, dim=1, keepdim=True)
    # A row that was looked up twice is written twice, with the same numbers.
    weight[index] = torch.where(length > max_norm, rows * (max_norm / (length + 1e-7)), rows)


class _Lookup(torch.autograd.Function):
    """Rows by number; backward adds each row's gradient to the row that it came from."""

    generate_vmap_rule = True

    @staticmethod
    def forward(weight, index, padding, by_frequency, sparse):
        return weight.index_select(0, index)

    @staticmethod
    def setup_context(ctx, inputs, output):
        weight, index, ctx.padding, ctx.by_frequency, ctx.sparse = inputs
        ctx.save_for_backward(index)
        ctx.rows = len(weight)

    @staticmethod
    def backward(ctx, grad):
        (index,) = ctx.saved_tensors
        shape = (ctx.rows, grad.shape[1])
        if ctx.sparse:
            kept = index != ctx.padding
            table = torch.sparse_coo_tensor(index[kept][None], grad[kept], shape, check_invariants=False)
            return table, None, None, None, None
        if ctx.by_frequency:
            often = grad.new_zeros(ctx.rows).index_add(0, index, grad.new_ones(len(index)))
            grad = grad / often.index_select(0, index)[:, None]
        if ctx.padding >= 0:
            grad = torch.where((index == ctx.padding)[:, None], 0, grad)
        return grad.new_zeros(shape).index_add(0, index, grad), None, None, None, None


class Embedding(nn.Module):
    """Table of learned vectors, as ``torch.nn.Embedding``; starts standard normal, with zeros for the padding row.

    Args:
        num_embeddings: Number of rows.
        embedding_dim: Length of a row.
        padding_idx: A row that starts at zero and gets no gradient; may be negative.
        max_norm: Rows that are looked up and longer than this are shortened to it, in the table itself.
        norm_type: Degree of the norm for ``max_norm``.
        scale_grad_by_freq: Whether to divide a row's gradient by how often it was looked up.
        sparse: Whether the table's gradient is a sparse tensor.
        device: Where the parameters live.
        dtype: The parameters' dtype.

    Raises:
        ValueError: If ``padding_idx`` is no row's number.

    Example:
        >>> Embedding(10, 3)(torch.tensor([[1, 4], [9, 1]])).shape
        torch.Size([2, 2, 3])

    Source: Bengio et al. (2003), "A neural probabilistic language model"; torch.nn.Embedding. Chapter: neurons.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_whole("num_embeddings", num_embeddings)
        check_whole("embedding_dim", embedding_dim)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else _row("padding_idx", padding_idx, num_embeddings)
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        self.weight = nn.Parameter(torch.empty(num_embeddings, embedding_dim, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the table afresh; the padding row is zeros."""
        nn.init.normal_(self.weight)
        if self.padding_idx is not None:
            with torch.no_grad():
                self.weight[self.padding_idx] = 0

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Float[Tensor, "num_embeddings embedding_dim"],
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> "Embedding":
        """A table that holds these rows; the other arguments are those of the class.

        Args:
            embeddings: The rows.
            freeze: Whether training leaves them as they are.
            padding_idx: A row that gets no gradient.
            max_norm: Rows that are looked up and longer than this are shortened to it.
            norm_type: Degree of the norm for ``max_norm``.
            scale_grad_by_freq: Whether to divide a row's gradient by how often it was looked up.
            sparse: Whether the table's gradient is a sparse tensor.
        """
        check_ndim("embeddings", embeddings, (2,), "(num_embeddings, embedding_dim)")
        rows, size = embeddings.shape
        table = cls(rows, size, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, device="meta")
        table.weight = nn.Parameter(embeddings, requires_grad=not freeze)
        return table

    def forward(self, input: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape embedding_dim"]:
        """The rows of these numbers."""
        settings = (self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse)
        return embedding(input, self.weight, *settings)

    def extra_repr(self) -> str:
        """The settings, for ``print(module)``."""
        chosen = {"padding_idx": self.padding_idx, "max_norm": self.max_norm}
        chosen = {name: value for name, value in chosen.items() if value is not None}
        chosen |= {"norm_type": self.norm_type} if self.norm_type != 2 else {}
        chosen |= {name: True for name in ("scale_grad_by_freq", "sparse") if getattr(self, name)}
        return ", ".join([f"{self.num_embeddings}, {self.embedding_dim}", *(f"{k}={v}" for k, v in chosen.items())])
