"""What the project's workflows have reached: `python -m benchmarks quality`, from the files that
they write into metrics/."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import srsly

from .harness import Row


class Goal(NamedTuple):
    """A figure of a file of scores.

    file (str): A pattern of its name, without the suffix.
    workflow (str): What writes it.
    what (str): The name of the row.
    path (str): Where it is, as keys with dots between.
    unit (str): "%" and "BLEU" are shares, times 100.
    bar (float | None): What it has to reach.
    smaller (bool): The smaller the better.
    """

    file: str
    workflow: str
    what: str
    path: str
    unit: str
    bar: float | None = None
    smaller: bool = False


_BITS, _EXACT = "text_generator.bits_per_char", "translator.exact_match"
_MOSES, _CAPTIONS = "bleu_moses_lowercase", "image_captioner.caption_exact_match"
# The nearest neighbour among the other styles is right for so many, and 10 points.
_NEAREST = {"noto": 52.2, "twemoji": 50.1, "openmoji": 32.1, "fluent": 44.1}
_LONGER = "phrasebook, sources of 6 to 10 words, against no attention"
GOALS = [
    Goal("topics", "all", "Python's documentation, last tenth", _BITS, "bits/char", 2.2, True),
    Goal("shakespeare_dev", "shakespeare", "tiny shakespeare, next 5 %", _BITS, "bits/char"),
    Goal("shakespeare_test", "shakespeare", "tiny shakespeare, last 5 %", _BITS, "bits/char"),
    Goal("phrasebook", "phrasebook", "phrasebook, exact matches", _EXACT, "%", 95),
    Goal(
        "phrasebook-plain", "phrasebook", "phrasebook without attention, exact matches", _EXACT, "%"
    ),
    Goal(
        "phrasebook",
        "phrasebook",
        "phrasebook, attention to the right word",
        "attention_accuracy",
        "%",
        90,
    ),
    Goal("translator-en-de", "multi30k", "Multi30k en-de, recurrent", _MOSES, "BLEU", 39),
    Goal("translator-en-fr", "multi30k", "Multi30k en-fr, recurrent", _MOSES, "BLEU", 59),
    Goal(
        "translator_transformer-en-de",
        "multi30k",
        "Multi30k en-de, transformer",
        _MOSES,
        "BLEU",
        41,
    ),
    Goal(
        "translator_transformer-en-fr",
        "multi30k",
        "Multi30k en-fr, transformer",
        _MOSES,
        "BLEU",
        61,
    ),
    Goal(
        "translator_plain-en-de",
        "multi30k",
        "Multi30k en-de, recurrent without attention",
        _MOSES,
        "BLEU",
    ),
    Goal("tatoeba", "tatoeba", "sentence pairs of Tatoeba", "translator.bleu", "BLEU"),
    Goal("sentiment", "sentiment", "movie snippets, accuracy", "textcat.cats_micro_f", "%", 80),
    Goal("sst2-*", "sst2", "Stanford Sentiment Treebank, accuracy", "textcat.cats_micro_f", "%"),
    Goal("scenes", "scenes", "scenes, exact matches", _CAPTIONS, "%", 85),
    Goal(
        "scenes_heldout",
        "scenes",
        "scenes of combinations never seen, exact matches",
        _CAPTIONS,
        "%",
    ),
    Goal(
        "scenes_heldout", "scenes", "scenes, attention inside the object", "attention_inside", "%"
    ),
    *(
        Goal(
            f"emoji-{style}-*",
            "emoji",
            "emoji of a style never seen, exact matches",
            _CAPTIONS,
            "%",
            bar,
        )
        for style, bar in _NEAREST.items()
    ),
    Goal("flickr8k", "flickr8k", "Flickr8k, BLEU-4", "image_captioner.bleu_4", "BLEU"),
]


def measure_quality(folder: Path, only: str) -> list[Row]:
    """A row for each figure that is there.

    folder (Path): Of the files of scores.
    only (str): Rows whose name does not hold this are left out.
    RAISES (ValueError): If a file is no JSON object.
    """
    rows = []
    for goal in GOALS:
        for path in sorted(folder.glob(f"{goal.file}.json")):
            value = _find(path, goal.path)
            what = f"{goal.what} ({path.name})"
            if value is not None and only in what:
                rows.append(_row(goal, what, value * (100 if goal.unit in ("%", "BLEU") else 1)))
    if only in _LONGER:
        rows += _compare_lengths(folder)
    return rows


def _compare_lengths(folder: Path) -> Iterator[Row]:
    paths = folder / "phrasebook.json", folder / "phrasebook-plain.json"
    if all(path.exists() for path in paths):
        ours, plain = (_find(path, "translator.bleu_by_length.6-10.bleu") for path in paths)
        if ours is not None and plain is not None:
            ratio = ours / plain if plain else None
            yield Row(_LONGER, 100 * ours, 100 * plain, ratio, ok=ours > plain, unit="BLEU")


def _row(goal: Goal, what: str, value: float) -> Row:
    ok = None
    if goal.bar is not None:
        ok = value <= goal.bar if goal.smaller else value >= goal.bar
    note = f"`python -m spacy project run {goal.workflow}`"
    return Row(what, value, bar=goal.bar, ok=ok, unit=goal.unit, note=note)


def _find(path: Path, keys: str) -> float | None:
    try:
        value: Any = srsly.read_json(path)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ValueError(f"{path} has no scores: it should be what `spacy seqgen evaluate` writes")
    for key in keys.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, (int, float)) else None
