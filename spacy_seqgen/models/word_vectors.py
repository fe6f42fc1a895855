"""Word vectors as the first layer of spaCy's own models."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from spacy.attrs import LOWER, ORTH
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d

_RANGE = 0.25  # of random vectors: about as long as those of GloVe, as in Kim (2014)


def build_word_vectors(
    width: int, rows: int = 20000, pretrained: bool = True, update: bool = True
) -> Model[list[Doc], list[Floats2d]]:
    """A vector of each token, to be trained or not (Kim 2014,
    https://arxiv.org/abs/1408.5882: "rand", "static" and "non-static"). Registered as
    `spacy-seqgen.WordVectors.v1` (`@architectures`).

    width (int): Width of the vectors.
    rows (int): Vectors to have where the pipeline has none (`[initialize] vectors`);
        words share them.
    pretrained (bool): Begin with the vectors of the pipeline, if it has any; or with
        random ones.
    update (bool): Train them.
    RAISES (ValueError): If a size is not above 0.
    """
    if width < 1 or rows < 1:
        raise ValueError(f"width ({width}) and rows ({rows}) must be 1 or more")
    return Model(
        "word_vectors",
        forward,
        init=init,
        params={"E": None},
        dims={"nO": width, "nV": None},
        attrs={"rows": rows, "pretrained": pretrained, "update": update},
    )


def init(model: Model, X: Any = None, Y: Any = None) -> None:
    ops: Any = model.ops
    width = model.get_dim("nO")
    vectors: Any = X[0].vocab.vectors if X else None
    has_vectors = vectors is not None and vectors.shape[0] > 0
    # Row 0 is for words that are not known.
    size = vectors.shape[0] + 1 if has_vectors else model.attrs["rows"]
    table: Any = ops.asarray(np.random.uniform(-_RANGE, _RANGE, (size, width)).astype("f"))
    if has_vectors and model.attrs["pretrained"]:
        if vectors.mode != "default" or vectors.shape[1] != width:
            raise ValueError(
                f"WordVectors.v1 needs a table of vectors with width = {width}, but the pipeline's "
                f"have {vectors.shape[1]} (mode {vectors.mode}). Set width, or other vectors"
            )
        table[0] = 0.0
        table[1:] = ops.asarray(vectors.data)
    model.set_dim("nV", size)
    model.set_param("E", table)


def forward(model: Model, docs: Sequence[Doc], is_train: bool) -> tuple[list[Floats2d], Callable]:
    ops: Any = model.ops
    table: Any = model.get_param("E")
    sizes = [len(doc) for doc in docs]
    hashed = len(table) == model.attrs["rows"]
    rows = ops.asarray1i(np.concatenate([_rows(doc, len(table), hashed) for doc in docs]))
    found = ops.unflatten(table[rows], ops.asarray1i(sizes))

    def backprop(gradients: list[Floats2d]) -> list[Doc]:
        if model.attrs["update"]:
            total = ops.alloc2f(*table.shape)
            ops.scatter_add(total, rows, ops.flatten(gradients))
            model.inc_grad("E", total)
        return []

    return found, backprop


def _rows(doc: Doc, size: int, hashed: bool) -> np.ndarray:
    """The row of each token: of the word as it is, or else in lower case.

    hashed (bool): Whether the table may be one that words share.
    RAISES (ValueError): If the pipeline has no longer as many vectors as in training.
    """
    keys = doc.to_array([ORTH, LOWER]).astype("uint64")
    vectors = doc.vocab.vectors
    if vectors.shape[0] + 1 == size:
        known = vectors.key2row
        pairs = keys.tolist()
        return np.array([known.get(a, known.get(b, -1)) + 1 for a, b in pairs], dtype="int32")
    if not hashed:
        raise ValueError(
            f"WordVectors.v1 was trained with {size - 1} vectors, but the pipeline has "
            f"{vectors.shape[0]}: load the vectors it was trained with, or train it again"
        )
    return (keys[:, 1] % np.uint64(size)).astype("int32").reshape(-1)
