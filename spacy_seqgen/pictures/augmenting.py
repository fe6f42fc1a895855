"""Pictures that are a little different each time, for training."""

import random
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Augmenter:
    """
    crop (float): Smallest share of height and width that is cut out and enlarged; 1 cuts
        nothing.
    flip (float): Probability that left and right are exchanged. 0 where captions tell them
        apart.
    rotate (float): Largest angle, in degrees, to either side.
    brightness, contrast, saturation (float): Factors are from 1 minus this to 1 plus this.
    hue (float): Colours turn by up to this share of the circle, to either side.
    gray (float): Probability that there are no colours.
    invert (float): Probability that the picture is shown as its negative.
    """

    crop: float = 0.8
    flip: float = 0.0
    rotate: float = 0.0
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.0
    gray: float = 0.0
    invert: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            highest = 180 if name == "rotate" else 1
            if not 0 <= value <= highest or (name == "crop" and not value):
                low = "above 0" if name == "crop" else "0"
                raise ValueError(f"{name} must be from {low} to {highest}, got {value}")

    @property
    def moves(self) -> bool:
        """Whether things are elsewhere afterwards."""
        return self.crop < 1 or self.flip > 0 or self.rotate > 0

    def __call__(self, image: Any, seed: str) -> Any:
        """
        image (PIL.Image.Image): In mode "RGB".
        seed (str): Decides what happens.
        RETURNS (PIL.Image.Image): Of the same size.
        """
        from PIL import Image, ImageEnhance, ImageOps

        rng = random.Random(seed)
        width, height = image.size
        if self.rotate:
            angle = rng.uniform(-self.rotate, self.rotate)
            image = image.rotate(angle, Image.Resampling.BILINEAR, fillcolor=(255, 255, 255))
        if self.crop < 1:
            across, down = (rng.uniform(self.crop, 1) for _ in range(2))
            left, top = rng.uniform(0, 1 - across) * width, rng.uniform(0, 1 - down) * height
            box = (left, top, left + across * width, top + down * height)
            image = image.resize((width, height), Image.Resampling.BILINEAR, box=box)
        if rng.random() < self.flip:
            image = ImageOps.mirror(image)
        for name, enhance in (
            ("brightness", ImageEnhance.Brightness),
            ("contrast", ImageEnhance.Contrast),
            ("saturation", ImageEnhance.Color),
        ):
            share = getattr(self, name)
            if share:
                image = enhance(image).enhance(rng.uniform(1 - share, 1 + share))
        if self.hue:
            turn = round(rng.uniform(-self.hue, self.hue) * 255)
            bands = image.convert("HSV").split()
            hue = bands[0].point([(value + turn) % 256 for value in range(256)])
            image = Image.merge("HSV", (hue, *bands[1:])).convert("RGB")
        if rng.random() < self.gray:
            image = ImageOps.grayscale(image).convert("RGB")
        if rng.random() < self.invert:
            image = ImageOps.invert(image)
        return image


def make_augmenter(
    crop: float = 0.8,
    flip: float = 0.0,
    rotate: float = 0.0,
    brightness: float = 0.2,
    contrast: float = 0.2,
    saturation: float = 0.2,
    hue: float = 0.0,
    gray: float = 0.0,
    invert: float = 0.0,
) -> Augmenter:
    """Registered as `spacy-seqgen.PictureAugmenter.v1` (`@misc`). See `Augmenter`."""
    return Augmenter(crop, flip, rotate, brightness, contrast, saturation, hue, gray, invert)
