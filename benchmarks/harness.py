"""Measuring two things against each other in one run."""

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from wasabi import msg

ROUNDS = 5
NO_BF16 = (
    "this CPU is no faster in bfloat16, so the default precision is fp32 here and the bar can't "
    "be met: it is for CPUs with AMX, or AMD's with AVX512-BF16"
)


@dataclass
class Row:
    """One line of the table.

    what (str): What was measured.
    ours, other (float | None): The two sides; the other one is a plain PyTorch loop,
        unless `what` says otherwise.
    ratio (float | None): How much better or worse we are; see `what`.
    bar (float | None): What the ratio, or our figure, has to reach.
    ok (bool | None): Whether it does. None where this machine can't tell.
    unit (str): Of `ours` and `other`.
    spread (float | None): (largest - smallest) / median of the ratios of the rounds.
    peer (float | None): Another package, if it was asked for.
    note (str): What must be known to read the line.
    """

    what: str
    ours: float | None = None
    other: float | None = None
    ratio: float | None = None
    bar: float | None = None
    ok: bool | None = None
    unit: str = ""
    spread: float | None = None
    peer: float | None = None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def alternate(
    ours: Callable[[], float], other: Callable[[], float], rounds: int = ROUNDS
) -> tuple[list[float], list[float]]:
    """Measure both sides in turn, after a round that does not count. Each returns how
    many units it has done; what comes back are units a second."""
    found: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for side, results in zip((ours, other), found, strict=True):
            start = time.perf_counter()
            units = side()
            seconds = time.perf_counter() - start
            if number:
                results.append(units / seconds)
    return found


def compare(
    what: str,
    ours: Callable[[], float],
    other: Callable[[], float],
    *,
    bar: float | None,
    unit: str,
    rounds: int = ROUNDS,
    smaller: bool = False,
) -> Row:
    """A row with the medians of both sides and the median ratio.

    smaller (bool): The ratio is one of times, ours to the other's, and must stay below
        the bar. Otherwise it is one of speeds and must reach it.
    """
    mine, theirs = alternate(ours, other, rounds)
    ratios = [b / a if smaller else a / b for a, b in zip(mine, theirs, strict=True)]
    ratio = statistics.median(ratios)
    return Row(
        what,
        statistics.median(mine),
        statistics.median(theirs),
        ratio,
        bar,
        None if bar is None else ratio <= bar if smaller else ratio >= bar,
        unit,
        (max(ratios) - min(ratios)) / ratio,
    )


def print_table(rows: Iterable[Row], peer: str = "Peer") -> None:
    shown = [
        (
            row.what,
            show_number(row.ours),
            show_number(row.other),
            show_number(row.ratio),
            show_number(row.bar),
            {True: "yes", False: "NO", None: "-"}[row.ok],
            row.unit,
            "-" if row.spread is None else f"{row.spread:.0%}",
            show_number(row.peer),
        )
        for row in rows
    ]
    header = ("What", "Ours", "Other", "Ratio", "Bar", "OK", "Unit", "Spread", peer)
    msg.table(shown, header=header, divider=True, max_col=60)
    for row in rows:
        if row.note:
            msg.info(f"{row.what}: {row.note}")


def show_number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
