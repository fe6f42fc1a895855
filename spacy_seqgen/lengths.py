"""Groups of similar length."""

from collections.abc import Iterable, Sequence


def by_padded_size(lengths: Sequence[int], limit: int, extra: int = 0) -> Iterable[list[int]]:
    """Sort into groups of similar length, each with (rows x (longest + extra)) within a
    limit, or with a single row.

    YIELDS (list[int]): Indices into `lengths`.
    """
    group: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if group and (len(group) + 1) * (lengths[index] + extra) > limit:
            yield group
            group = []
        group.append(index)
    if group:
        yield group
