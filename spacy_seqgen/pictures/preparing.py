"""From pictures of any size to arrays of one size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .augmenting import Augmenter
from .reading import MOST_PIXELS, read_picture
from .sources import Picture

FITS = ("crop", "pad", "stretch")
RESAMPLINGS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")


@dataclass(frozen=True)
class PictureSettings:
    """How pictures are read: a part of the pipeline's config, and so stored with the model.

    size (int): Height and width that all are brought to, in pixels.
    fit (str): How: "crop" cuts off what is longer, "pad" adds white, "stretch" does neither.
    resample (str): The filter of Pillow's that makes new pixels of the old ones.
    max_pixels (int): Larger pictures are refused. No more than Pillow decodes: 178,956,970.
    workers (int): Threads that read and decode.
    augmenter (Augmenter | None): What training does to pictures.
    """

    size: int = 64
    fit: str = "crop"
    max_pixels: int = 50_000_000
    workers: int = 2
    augmenter: Augmenter | None = None
    resample: str = "bicubic"

    def __post_init__(self) -> None:
        for name in ("size", "max_pixels", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, got {getattr(self, name)}")
        if self.max_pixels > MOST_PIXELS:
            raise ValueError(
                f"max_pixels must be {MOST_PIXELS} or less, as Pillow decodes no more, got "
                f"{self.max_pixels}"
            )
        if self.fit not in FITS:
            raise ValueError(f"fit must be one of {', '.join(FITS)}, got {self.fit!r}")
        if self.resample not in RESAMPLINGS:
            known = ", ".join(RESAMPLINGS)
            raise ValueError(f"resample must be one of {known}, got {self.resample!r}")

    @property
    def shape(self) -> tuple[int, str, str]:
        """All that says how a picture is brought to size."""
        return self.size, self.fit, self.resample

    def load(self, picture: Picture, seed: str | None = None) -> np.ndarray:
        """Read a picture and bring it to size.

        seed (str | None): For training: what varies depends on it.
        RETURNS (np.ndarray): Shape (3, size, size), uint8.
        RAISES (PictureError): If it can't be read.
        """
        image = read_picture(picture, self.max_pixels, self.size)
        if seed is not None and self.augmenter:
            image = self.augmenter(self.to_size(image), seed)
        else:
            image = self.to_size(image)
        return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))

    def to_size(self, image: Any) -> Any:
        """A picture of Pillow's, as high and wide as `size`."""
        from PIL import Image, ImageOps

        if image.size == (self.size, self.size):
            return image
        target, method = (self.size, self.size), Image.Resampling[self.resample.upper()]
        if self.fit == "crop":
            return ImageOps.fit(image, target, method)
        if self.fit == "pad":
            # As ImageOps.pad does; but of a thin picture Pillow 10.3 makes nothing, and fails.
            inner = [max(1, round(side / max(image.size) * self.size)) for side in image.size]
            image = image.resize(tuple(inner), method)
            padded = Image.new("RGB", target, (255, 255, 255))
            padded.paste(image, tuple(round((self.size - side) / 2) for side in inner))
            return padded
        return image.resize(target, method)

    def fit_box(self, box: Sequence[float], size: Sequence[float]) -> tuple[float, ...]:
        """A box on a picture, on what `to_size` makes of it.

        box (Sequence[float]): Left, top, right and bottom, in pixels.
        size (Sequence[float]): Width and height of the picture.
        RETURNS (tuple[float, ...]): The same in shares of width and height. What is cut off is
            below 0 or above 1.
        """
        sides = {"crop": (min(size),) * 2, "pad": (max(size),) * 2, "stretch": size}[self.fit]
        before = [(side - length) / 2 for side, length in zip(sides, size, strict=True)]
        return tuple((box[n] + before[n % 2]) / sides[n % 2] for n in range(4))


def make_pictures(
    size: int = 64,
    fit: str = "crop",
    max_pixels: int = 50_000_000,
    workers: int = 2,
    augmenter: Augmenter | None = None,
    resample: str = "bicubic",
) -> PictureSettings:
    """Registered as `spacy-seqgen.Pictures.v1` (`@misc`). See `PictureSettings`."""
    return PictureSettings(size, fit, max_pixels, workers, augmenter, resample)
