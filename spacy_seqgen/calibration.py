"""How far the probabilities of a classifier can be believed, and what it confuses."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from spacy.training import Example

BINS = 15


def classification_report(
    examples: Iterable[Example], labels: Sequence[str], exclusive: bool
) -> dict[str, Any]:
    """Scores of a classifier whose predictions are on the Docs.

    examples (Iterable[Example]): Predictions and truths, both in `doc.cats`.
    labels (Sequence[str]): All classes.
    exclusive (bool): Whether each text has one of them.
    RETURNS (dict): "texts" and "accuracy"; "per_class", precision, recall and F of each
        and how many texts have it; "calibration"; and for exclusive classes "confusion",
        a row for each true class and a column for each predicted one.
    """
    pairs = [(eg.predicted.cats, eg.reference.cats) for eg in examples]
    scores = np.array([[found.get(label, 0.0) for label in labels] for found, _ in pairs])
    truths = np.array([[true.get(label, 0.0) for label in labels] for _, true in pairs]) > 0.5
    scores, truths = (array.reshape(len(pairs), len(labels)) for array in (scores, truths))
    report: dict[str, Any] = {"texts": len(pairs), "labels": list(labels)}
    if exclusive:
        known = truths.any(1)  # a text may have a class that was never learned
        chosen = scores.argmax(1)
        guesses = np.zeros_like(truths)
        guesses[np.arange(len(pairs)), chosen] = True
        right = guesses[truths]
        confusion = np.zeros((len(labels), len(labels)), dtype=int)
        np.add.at(confusion, (truths[known].argmax(1), chosen[known]), 1)
        report["accuracy"] = float(right.sum() / max(1, len(pairs)))
        report["confusion"] = confusion.tolist()
        said, true = scores.max(1, initial=0.0), (guesses & truths).any(1)
    else:
        guesses = scores >= 0.5
        report["accuracy"] = float((guesses == truths).mean()) if truths.size else 0.0
        said, true = scores.ravel(), truths.ravel()
    report["per_class"] = {
        label: _precision_recall(guesses[:, i], truths[:, i]) for i, label in enumerate(labels)
    }
    report["calibration"] = calibration(said, true)
    return report


def _precision_recall(guesses: np.ndarray, truths: np.ndarray) -> dict[str, float]:
    both = float((guesses & truths).sum())
    precision = both / max(1.0, guesses.sum())
    recall = both / max(1.0, truths.sum())
    f = 2 * precision * recall / (precision + recall) if both else 0.0
    return {"p": precision, "r": recall, "f": f, "texts": int(truths.sum())}


def calibration(probabilities: np.ndarray, outcomes: Any, bins: int = BINS) -> dict[str, Any]:
    """The expected calibration error (Guo et al. 2017, https://arxiv.org/abs/1706.04599):
    by how much the probability that was said and the share of what came true differ, in
    bins of equal width.

    probabilities (np.ndarray): Shape (n,), from 0 to 1.
    outcomes (np.ndarray): Shape (n,), bool.
    RETURNS (dict): "ece", and "bins": the mean "said", the share "true" and "count" of each
        bin that is not empty.
    """
    places = np.minimum((probabilities * bins).astype(int), bins - 1)
    found = []
    error = 0.0
    for place in np.unique(places):
        inside = places == place
        said, true = float(probabilities[inside].mean()), float(outcomes[inside].mean())
        found.append({"said": said, "true": true, "count": int(inside.sum())})
        error += abs(said - true) * inside.sum() / len(probabilities)
    return {"ece": float(error), "bins": found}
