"""Captioning pictures: from pixels to `Caption`s."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from thinc.api import Model

from ..captions import Caption
from ..generation import GenerationOptions, TransformMaker
from ..generation.results import Hypothesis
from ..models.shim import get_shim
from ..modules.seq2seq import Source
from ..vocabularies import Vocabulary
from .alignment import pool_target
from .writing import TextWriter


@dataclass
class PictureCaptioner:
    """
    model (Model[CaptionBatch, Any]): The captioner.
    vocabulary (Vocabulary): What it writes.
    options (GenerationOptions): How to search.
    attention (bool): Find out where the decoder looked, if the model can tell.
    batch_pictures (int): Most pictures at once.
    transform (TransformMaker | None): See `Search`.
    """

    model: Model
    vocabulary: Vocabulary
    options: GenerationOptions
    attention: bool
    batch_pictures: int
    transform: TransformMaker | None = None

    def caption(self, pictures: Sequence[np.ndarray], keys: Sequence[str]) -> list[list[Caption]]:
        """
        pictures (Sequence[np.ndarray]): Each of shape (3, height, width), uint8, all of one
            size.
        keys (Sequence[str]): For each a text that stands for it, which keys its randomness.
        RETURNS (list[list[Caption]]): Those of each picture, the best first.
        """
        self.precision = self.model.attrs["predict_precision"]
        self.writer = TextWriter(
            self.model, self.vocabulary, transform=self.transform, precision=self.precision
        )
        size = self.batch_pictures
        found: list[list[Caption]] = []
        for first in range(0, len(pictures), size):
            part = slice(first, first + size)
            found += self._caption(np.stack(pictures[part]), keys[part])
        return found

    def _caption(self, pictures: np.ndarray, keys: Sequence[str]) -> list[list[Caption]]:
        pixels = torch.from_numpy(pictures).to(self.writer.shim.device)
        with self.writer.shim.inference() as net:

            def encode(pixels: torch.Tensor) -> torch.Tensor:
                with self.writer.shim.computing_in(self.precision):
                    return net.encode(pixels).float()

            grids = encode(pixels)

            def read(rows: Sequence[int]) -> Source:
                if len(rows) == len(keys):
                    return (grids,)
                # Alone, where a decision was close: then nothing may depend on the others.
                return (encode(pixels[list(rows)]),)

            results = []
            for row, items in enumerate(self.writer.search(read, keys, self.options)):
                maps: Sequence[np.ndarray | None] = [None] * len(items)
                if self.attention:
                    maps = self.writer.look((grids[row : row + 1],), items)
                shape = tuple(grids.shape[2:])
                results.append(
                    [
                        self._make(item, weights, shape)
                        for item, weights in zip(items, maps, strict=True)
                    ]
                )
        return results

    def _make(
        self, hypothesis: Hypothesis, weights: np.ndarray | None, shape: tuple[int, ...]
    ) -> Caption:
        said = self.writer.spell(hypothesis)
        attention = None
        if weights is not None:
            pooled = pool_target(weights, said.symbols, said.owners, len(said.tokens))
            attention = pooled.reshape(-1, *shape)
        elif self.attention and self.writer.shim.net.has_attention:
            attention = np.zeros((0, *shape), dtype=np.float16)  # of an empty caption
        return Caption(
            said.text,
            said.tokens,
            hypothesis.log_prob,
            said.log_probs,
            hypothesis.finish_reason,
            attention,
        )


def encode_pictures(model: Model, pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The grids of features of pictures of one size, each of shape (width, rows, columns)."""
    if not pictures:
        return []
    shim = get_shim(model)
    with shim.inference() as net:
        grids = net.encode(torch.from_numpy(np.stack(pictures)).to(shim.device))
        return list(grids.float().cpu().numpy())
