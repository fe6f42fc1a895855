"""All trainings in one table."""

from typing import Any

from .blocks import Block, Table, Text
from .inputs import Inputs, Run
from .scores import flatten

TITLE = "Summary"
# Scores that are the same, of which people know the second.
_BETTER_KNOWN = {"char_probability": "bits_per_char"}


def build(inputs: Inputs) -> list[Block]:
    rows = [_row(inputs, run) for run in inputs.runs]
    header = ["training", "score", "while training", "in the end", "minutes"]
    return [
        Text(
            "Each training by the score that counts most when its model-best is chosen: the best "
            "on the development data while training, and that of the finished model, if a file "
            f"in {inputs.metrics_folder.resolve().name} is named after the training. "
            "char_probability is shown as bits_per_char, its negative logarithm to base 2. The "
            "parts below show each in detail."
        ),
        Table(header, rows),
    ]


def _row(inputs: Inputs, run: Run) -> list[Any]:
    chosen = _chosen_by(run)
    score = _BETTER_KNOWN.get(chosen, chosen)
    end = flatten(_final_scores(inputs, run.name)).get(score)
    if run.log is None or not run.log.rows:
        return [run.name, score, None, end, None]
    best = max(run.log.rows, key=lambda row: row.get("score") or 0.0)
    reached = best.get("scores", {}).get(score)
    if not isinstance(reached, (int, float)):
        reached = best.get("score") if score == chosen else None
    seconds = run.log.rows[-1].get("seconds")
    return [run.name, score, reached, end, None if seconds is None else f"{seconds / 60:.1f}"]


def _final_scores(inputs: Inputs, name: str) -> dict[str, Any]:
    """Of the file named after the training, or after it and the test data."""
    return inputs.metrics.get(name) or inputs.metrics.get(f"{name}_test") or {}


def _chosen_by(run: Run) -> str:
    """The score with the most weight."""
    weights = run.config["training"].get("score_weights") or {}
    known = {name: weight for name, weight in weights.items() if weight}
    return max(known, key=known.__getitem__, default="score")
