"""Groups of similar length."""

from collections.abc import Iterable, Sequence


def by_padded_size(
    lengths: Sequence[int], limit: int, extra: int = 0, padding: float | None = None
) -> Iterable[list[int]]:
    """Sort into groups of similar length, each with (rows x (longest + extra)) within a
    limit, or with a single row.

    padding (float | None): Most padding in a group of four or more, as a share of what is
        real; None for any.
    YIELDS (list[int]): Indices into `lengths`.
    """
    group: list[int] = []
    real = 0
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        size = (len(group) + 1) * (lengths[index] + extra)
        is_ragged = (
            padding is not None
            and len(group) >= 4
            and size > (1 + padding) * (real + lengths[index])
        )
        if group and (size > limit or is_ragged):
            yield group
            group, real = [], 0
        group.append(index)
        real += lengths[index]
    if group:
        yield group
