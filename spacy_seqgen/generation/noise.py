"""Randomness that belongs to a text, not to a batch.

Sampling takes the highest logit after adding noise from a Gumbel distribution, which
draws from the softmax exactly (Gumbel 1954; Maddison et al. 2014,
https://arxiv.org/abs/1411.0030). Each row draws its noise from a generator of its own,
keyed by the seed, the prompt and the number of the sample, so that the same text is
generated in any batch, order and process.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch

NEVER = np.float32(-np.inf)
_BLOCK_VALUES = 2**22  # noise drawn ahead, all rows together: 16 MB
_BLOCK_STEPS = 64
_TINY = np.float32(2**-25)  # keeps uniform numbers, which are multiples of 2 ** -24, off 0


def row_key(seed: int, text: str, sample: int) -> int:
    """The key of one sample: 128 bits of a hash of the seed, the prompt and its number."""
    content = f"{seed}\0{sample}\0{text}".encode("utf8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=16).digest(), "little")


class Noise:
    """What is added to the logits of each step: Gumbel noise, and -inf for symbols that
    may not be chosen.

    keys (Sequence[int]): One for each row.
    vocabulary (int): Number of symbols.
    scale (float): Factor of the noise. A temperature, where no filter needs the logits
        divided by it; 0 for greedy search.
    suppress (Sequence[int]): Symbols never chosen.
    end (int), min_length (int): The end symbol is not chosen in the first `min_length`
        steps.
    max_length (int): How many steps there are at most: no noise is drawn for more.
    """

    def __init__(
        self,
        keys: Sequence[int],
        vocabulary: int,
        *,
        scale: float,
        suppress: Sequence[int],
        end: int,
        min_length: int,
        max_length: int,
    ):
        self.vocabulary = vocabulary
        self.scale = scale
        self.suppress = list(suppress)
        self.end = end
        self.min_length = min_length
        self.max_length = max_length
        self._generators = [np.random.Generator(np.random.SFC64(key)) for key in keys]
        self._first = self._steps = 0
        self._block = np.empty((0, len(keys), vocabulary), dtype=np.float32)

    def at(self, step: int) -> np.ndarray:
        """The noise of a step, shape (rows, vocabulary). Steps must come in order."""
        if step >= self._first + len(self._block):
            self._draw(step)
        return self._block[step - self._first]

    def select(self, rows: np.ndarray) -> None:
        """Keep some rows only."""
        self._generators = [self._generators[row] for row in rows]
        self._block = self._block[:, rows]

    def _draw(self, first: int) -> None:
        rows = len(self._generators)
        fitting = max(1, _BLOCK_VALUES // (rows * self.vocabulary))
        steps = min(_BLOCK_STEPS, fitting, self.max_length - first)
        block = np.zeros((steps, rows, self.vocabulary), dtype=np.float32)
        if self.scale:
            for row, generator in enumerate(self._generators):
                block[:, row] = generator.random((steps, self.vocabulary), dtype=np.float32)
            np.maximum(block, _TINY, out=block)
            # -scale * log(-log(u)); PyTorch's logarithm takes two thirds of NumPy's time.
            torch.from_numpy(block).log_().neg_().log_().mul_(-self.scale)
        block[:, :, self.suppress] = NEVER
        block[: max(0, self.min_length - first), :, self.end] = NEVER
        self._first, self._block = first, block
