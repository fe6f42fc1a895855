"""Word vectors for the embeddings of a component."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from thinc.api import Model
from wasabi import msg

from ..generation.options import OptionError
from ..models.shim import get_shim
from ..modules.seq2seq import put_vectors
from ..vectors import find_vectors
from ..vocabularies import SPECIALS, Source
from .base import GeneratingPipe


def load_embeddings(
    pipe: GeneratingPipe,
    sources: dict[str, str | Path | None],
    texts: dict[str, Sequence[Source]],
) -> dict[str, Any]:
    """Put vectors into the embeddings, and say how many symbols have one.

    pipe (GeneratingPipe): The component, with its vocabularies and its model.
    sources (dict): For "source" and "target", where the vectors are: see `find_vectors`.
    texts (dict): The training data of each, to count how often symbols occur.
    RETURNS (dict[str, Any]): For each that has vectors: where they are from ("vectors"),
        the numbers of symbols and of those with a vector ("symbols", "found"), and the
        share of these in the training data ("running").
    """
    given = {side: source for side, source in sources.items() if source is not None}
    freeze_embeddings(pipe.model, given)
    if not given and not pipe.model.attrs.get("update_vectors", True):
        msg.warn(f"'{pipe.name}' has no vectors, so update_vectors = false changes nothing")
    net, coverage = get_shim(pipe.model).net, {}
    for side, source in given.items():
        table = net.embeddings[side]
        # One table for both has all symbols of the source, whichever side was given.
        owner = "source" if table is net.embeddings.get("source") else side
        vocabulary = pipe.vocabularies[f"{owner}_vocabulary"]
        ordinary = vocabulary.symbols[len(SPECIALS) :]
        words = [None] * len(SPECIALS) + [vocabulary.find_word(symbol) for symbol in ordinary]
        rows, values = find_vectors(source, words, table.embedding_dim, pipe.vocab)
        put_vectors(table, rows, values, rescale=net.rescales_vectors)
        counts = np.bincount(vocabulary.encode_all(texts[owner])[0], minlength=len(vocabulary))
        running = float(counts[rows].sum() / max(1, counts.sum()))
        msg.info(
            f"'{pipe.name}': {len(rows)} of {len(ordinary)} {side} symbols have a vector in "
            f"{source} ({len(rows) / len(ordinary):.1%}), or {running:.1%} of those in the "
            "training data"
        )
        coverage[side] = {
            "vectors": str(source), "symbols": len(ordinary), "found": len(rows),
            "running": running,
        }  # fmt: skip
    return coverage


def freeze_embeddings(model: Model, sides: Iterable[str]) -> None:
    """Have training spare the embeddings that have vectors, unless the model's
    `update_vectors` is true.

    model (Model): The initialized model.
    sides (Iterable[str]): Which embeddings these are: "source", "target".
    RAISES (OptionError): If the softmax would be frozen with them.
    """
    if model.attrs.get("update_vectors", True):
        return
    for side in sides:
        net = get_shim(model).net
        weight = net.embeddings[side].weight
        parameters = (item for part in net.modules() for item in part.parameters(recurse=False))
        if sum(item is weight for item in parameters) > 1:
            raise OptionError(
                f"update_vectors = false would freeze the softmax too, because tied = true makes "
                f"it share the {side} embeddings. Set tied = false or update_vectors = true, or "
                f"give no {side}_vectors."
            )
        weight.requires_grad_(False)
