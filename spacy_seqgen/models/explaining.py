"""Which tokens drove a classification."""

from collections.abc import Sequence

import numpy as np
import torch
from spacy.tokens import Doc
from thinc.api import Model, xp2torch

from .text_classification import NAME, get_pieces, get_ready


def explain(model: Model, doc: Doc, classes: Sequence[int], method: str) -> list[np.ndarray]:
    """How much each token of a Doc speaks for some classes.

    model (Model): `TransformerTextCat.v1`. With an encoder of its own, the input of
        "gradient" is the vector of a piece before the first layer; with another one, what
        that makes of a token.
    doc (Doc): The Doc.
    classes (Sequence[int]): Numbers of the classes.
    method (str): "gradient" or "attention".
    RETURNS (list[np.ndarray]): For each class, shape (len(doc),), float32.
    RAISES (ValueError): If the model can't be explained that way.
    """
    if model.name != NAME:
        raise ValueError("Only spacy-seqgen.TransformerTextCat.v1 can be explained")
    settings, shim = get_ready(model)
    if method == "attention" and settings.pooling != "attention":
        raise ValueError(
            f'method = "attention" needs pooling = "attention", but this model has '
            f'"{settings.pooling}": use "gradient"'
        )
    if method == "gradient" and (shim.description or {}).get("int8"):
        raise ValueError("A quantized model has no gradients: explain it before it is quantized")
    if settings.encoder is None:
        return _explain_vectors(model, doc, classes, method)
    pieces = get_pieces(model)
    windows = pieces([doc.text]).ids
    with shim.inference() as net:
        if method == "attention":
            found = [net.attention(windows)] * len(classes)
        else:
            with torch.inference_mode(False), torch.enable_grad():
                found = [net.gradients(windows, number) for number in classes]
    owners = _owners(doc, [piece for window in pieces.offsets(doc.text) for piece in window])
    return [_to_tokens(values, owners, len(doc)) for values in found]


def _explain_vectors(
    model: Model, doc: Doc, classes: Sequence[int], method: str
) -> list[np.ndarray]:
    _, shim = get_ready(model)
    (rows,) = model.layers[0].predict([doc])
    with shim.inference() as net, torch.inference_mode(False):
        states = xp2torch(rows, device=shim.device).clone()
        if method == "attention":
            found = [net.attention(states)] * len(classes)
        else:
            found = [net.gradients(states, number) for number in classes]
    return [values.detach().cpu().numpy().astype(np.float32) for values in found]


def _owners(doc: Doc, offsets: Sequence[tuple[int, int]]) -> np.ndarray:
    """The token of the first character of each piece that is inside of one: a piece may begin
    with the space before it. -1 for special symbols, and for spaces alone."""
    size = len(doc.text)
    tokens = np.full(size + 1, -1, dtype=np.int64)
    for token in doc:
        tokens[token.idx : token.idx + len(token)] = token.i
    places = np.where(tokens >= 0, np.arange(size + 1), size)
    following = np.minimum.accumulate(places[::-1])[::-1]  # the first such character from here
    firsts = [(following[start], end) for start, end in offsets]
    return np.array([tokens[first] if first < end else -1 for first, end in firsts])


def _to_tokens(values: np.ndarray, owners: np.ndarray, size: int) -> np.ndarray:
    known = owners >= 0
    return np.bincount(owners[known], values[known], minlength=size).astype(np.float32)
