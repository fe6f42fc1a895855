"""Image encoders, as blocks of the config of a captioner."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from ..modules.image_encoders import ConvEncoder, ImageEncoder


@dataclass(frozen=True)
class EncoderSettings:
    """
    make (Callable): Makes the encoder, with random weights.
    load (Callable | None): Gives one the weights with which training begins.
    """

    make: Callable[[], ImageEncoder]
    load: Callable[[ImageEncoder], None] | None = None


def build_conv_encoder(widths: Sequence[int] = (32, 64, 128), blocks: int = 1) -> EncoderSettings:
    """A small residual network, trained from nothing (He et al. 2016,
    https://arxiv.org/abs/1512.03385). Registered as `spacy-seqgen.ConvEncoder.v1` (`@misc`).

    widths (Sequence[int]): Width of the features in each stage; each stage halves height
        and width, so that three make a grid of 8 x 8 over 64 x 64 pixels.
    blocks (int): Residual blocks in each stage behind the first.
    """
    if not widths or min(widths) < 1 or blocks < 1:
        raise ValueError(f"widths and blocks must be 1 or more, got {list(widths)} and {blocks}")
    return EncoderSettings(partial(ConvEncoder, widths=tuple(widths), blocks=blocks))
