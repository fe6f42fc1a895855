"""Which tokens drove a classification: `doc._.cats_attribution`, and the component that
finds out (`cats_explainer`)."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from spacy.tokens import Doc
from spacy.util import raise_error

ATTRIBUTION = "spacy_seqgen.cats_attribution"
METHODS = ("gradient", "attention")


def get_attribution(doc: Doc) -> dict[str, np.ndarray]:
    """For each class that was asked for, how much each token speaks for it, shape
    (len(doc),), float32."""
    return doc.user_data.get(ATTRIBUTION, {})


def set_attribution(doc: Doc, attribution: dict[str, np.ndarray]) -> None:
    doc.user_data[ATTRIBUTION] = dict(attribution)


class CatsExplainer:
    """Asks a text categorizer of the same pipeline which tokens it went by.

    name (str): Of the component.
    categorizer (Any): The `textcat` or `textcat_multilabel`.
    method (str): "gradient": the gradient of the class's logit times the input, added up
        for each token (Simonyan et al. 2014, https://arxiv.org/abs/1312.6034). "attention":
        the weights of `pooling = "attention"`, which are the same for all classes.
    threshold (float): Explain every class with at least this probability, and the most
        probable one.
    RAISES (ValueError): If a value is out of range.
    """

    def __init__(self, name: str, categorizer: Any, *, method: str, threshold: float):
        if method not in METHODS:
            raise ValueError(f"method must be one of {METHODS}, got {method!r}")
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold must be from 0 to 1, got {threshold}")
        self.name = name
        self.categorizer = categorizer
        self.method = method
        self.threshold = threshold

    def __call__(self, doc: Doc) -> Doc:
        from .models.explaining import explain

        labels = [label for label in self.categorizer.labels if label in doc.cats]
        if len(doc) and labels:
            best = max(labels, key=doc.cats.__getitem__)
            asked = [n for n in labels if n == best or doc.cats[n] >= self.threshold]
            numbers = [self.categorizer.labels.index(label) for label in asked]
            found = explain(self.categorizer.model, doc, numbers, self.method)
            set_attribution(doc, dict(zip(asked, found, strict=True)))
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        handler: Callable = getattr(self, "error_handler", raise_error)
        for doc in stream:
            try:
                yield self(doc)
            except Exception as error:
                handler(self.name, self, [doc], error)

    def set_error_handler(self, error_handler: Callable) -> None:
        self.error_handler = error_handler

    def get_error_handler(self) -> Callable:
        return getattr(self, "error_handler", raise_error)
