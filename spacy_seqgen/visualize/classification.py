"""What a classifier confuses, and how far it can be believed, as figures."""

from pathlib import Path
from typing import Any

from .figure import new_figure


def save_confusion(report: dict[str, Any], path: str | Path) -> None:
    """Write `draw_confusion` to a file, whose kind its ending tells: .png, .pdf or .svg."""
    draw_confusion(report).savefig(path, bbox_inches="tight")


def save_reliability(report: dict[str, Any], path: str | Path) -> None:
    """The same of `draw_reliability`."""
    draw_reliability(report).savefig(path, bbox_inches="tight")


def draw_confusion(report: dict[str, Any]) -> Any:
    """Draw a confusion matrix: true classes down, predicted ones across.

    report (dict): From `classification_report`, of exclusive classes.
    RETURNS (matplotlib.figure.Figure): The figure.
    """
    labels, counts = report["labels"], report["confusion"]
    side = 2.0 + 0.6 * len(labels)
    figure = new_figure(side + 0.5, side)
    axes = figure.add_subplot()
    shares = [[n / max(1, sum(row)) for n in row] for row in counts]
    image = axes.imshow(shares, cmap="Oranges", vmin=0, vmax=1)
    # A dollar in a label begins no formula.
    axes.set_xticks(range(len(labels)), labels, rotation=60, ha="right", parse_math=False)
    axes.set_yticks(range(len(labels)), labels, parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            colour = "white" if shares[i][j] > 0.6 else "black"
            axes.text(j, i, str(count), ha="center", va="center", color=colour)
    figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
    return figure


def draw_reliability(report: dict[str, Any]) -> Any:
    """Draw a reliability plot: what was said against what came true."""
    found = report["calibration"]
    figure = new_figure(4.5, 4.0)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    said, true = ([item[key] for item in found["bins"]] for key in ("said", "true"))
    axes.plot(said, true, marker="o", color="#d65a1e")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("probability that was said")
    axes.set_ylabel("share that came true")
    axes.set_title(f"expected calibration error {found['ece']:.3f}")
    return figure
