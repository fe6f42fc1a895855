"""Scores, with how they were computed."""

import math
from typing import Any

from .blocks import Block, Group, Heading, Table, Text
from .inputs import Inputs

TITLE = "Scores"
# Measured while evaluating, and of no use to compare: how fast, and how the tokenizer did.
_LEFT_OUT = {"speed", "token_acc", "token_p", "token_r", "token_f"}


def build(inputs: Inputs) -> list[Block]:
    blocks: list[Block] = [Text(problem, absent=True) for problem in inputs.problems]
    if not inputs.metrics:
        return [
            *blocks,
            Text(
                f"There are no scores in {inputs.metrics_folder}: spacy seqgen evaluate writes "
                "them with --output.",
                absent=True,
            ),
        ]
    tables: list[Block] = []
    for name, scores in inputs.metrics.items():
        rows = sorted(flatten(scores).items())
        if rows:
            tables.append(Group([Heading(name), Table(["score", "value"], rows)]))
    return [
        *blocks,
        Text(
            "On data that was not trained on, as spacy seqgen evaluate computes them. Each table "
            f"is a file of the folder {inputs.metrics_folder.resolve().name}, named after the "
            "training; what follows the name is the data, such as heldout. The other parts of "
            "this page show the development data, on which scores differ, unless both are the same "
            "text. BLEU, chrF and shares are from 0 to 1 (papers give a hundred times that), "
            "CIDEr-D is from 0 to 10, and all of these are better if higher; TER, perplexity and "
            "bits per character if lower."
        ),
        Group(tables),
    ]


def flatten(scores: dict[str, Any]) -> dict[str, Any]:
    """Those that are one value, of all components."""
    found: dict[str, Any] = {}
    for name, value in scores.items():
        inner = value.items() if isinstance(value, dict) else [(name, value)]
        for key, item in inner:
            number = isinstance(item, (int, float)) and math.isfinite(item)
            if key not in _LEFT_OUT and (number or isinstance(item, str)):
                found[key] = item
    return found
