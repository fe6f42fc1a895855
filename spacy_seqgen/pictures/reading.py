"""From files, bytes and arrays to pictures in red, green and blue."""

import io
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from .errors import PictureError
from .sources import Picture

_FORMATS = (
    "PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "TGA", "JPEG2000",
)  # fmt: skip
MOST_PIXELS = 178_956_970  # where Pillow refuses as well, as it is set by default
MOST_BYTES = 256 * 1024 * 1024  # of a file
_lock, _readers = Lock(), 0
_loading = Lock()  # of pictures that several Docs may share
_HEAD = 2**16  # bytes, to look for what begins SVG


def read_picture(picture: Picture, max_pixels: int = 50_000_000, size: int = 512) -> Any:
    """Read a picture. It is turned as its EXIF data says, put on white where it is
    transparent, and of an animation it is the first frame.

    picture (Picture): The picture.
    max_pixels (int): Larger ones are refused before they are decoded.
    size (int): Height and width that are needed: JPEG files that are at least four times as
        large are decoded at a half, a quarter or an eighth of theirs, no smaller than
        twice the size, which takes a fraction of the time.
    RETURNS (PIL.Image.Image): In mode "RGB".
    RAISES (PictureError): If it can't be read.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError("Pictures need Pillow: pip install pillow") from error
    content = picture.content
    if isinstance(content, PictureError):  # see HeldImage
        raise PictureError(f"{picture.name} was not stored with the Doc: {content}")
    try:
        if isinstance(content, np.ndarray):
            return _from_array(content, picture.name, max_pixels)
        with _without_warnings():
            is_open = isinstance(content, Image.Image)
            image = content if is_open else _open(picture, Image, max_pixels)
            _check_size(picture.name, image.size, max_pixels)
            if is_open:  # somebody else's, to be left as it is
                with _loading:
                    image.load()
                image = ImageOps.exif_transpose(image)
            else:
                if image.format == "JPEG":
                    image.draft("RGB", (2 * size,) * 2)
                ImageOps.exif_transpose(image, in_place=True)
            return _to_rgb(image, Image)
    except PictureError:
        raise
    except Exception as error:  # damaged files fail in many ways: all mean the same
        raise PictureError(f"{picture.name} can't be decoded as a picture: {error}") from error


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Without those of Pillow's about large pictures, bad EXIF data and the like. In threads
    `warnings.catch_warnings` would put back what another thread had set, and so switch off
    all warnings of the process for good."""
    global _readers
    with _lock:
        _readers += 1
        warnings.filterwarnings("ignore", module=r"PIL\.")
        mine = warnings.filters[0]
    try:
        yield
    finally:
        with _lock:
            _readers -= 1
            if not _readers and mine in warnings.filters:
                warnings.filters.remove(mine)  # type: ignore[attr-defined]


def _check_size(name: str, size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if not width or not height:
        raise PictureError(f"{name} has no pixels: it is {width} wide and {height} high")
    if width * height > max_pixels:
        raise PictureError(
            f"{name} has {width} x {height} pixels, more than max_pixels "
            f"({max_pixels:,}): make it smaller, or raise max_pixels"
        )


def _read_file(picture: Picture) -> bytes:
    with open(picture.content, "rb") as file:  # quicker than a `Path` of its own
        size = os.fstat(file.fileno()).st_size
        if size > MOST_BYTES:
            raise PictureError(
                f"{picture.name} has {size:,} bytes, more than the limit of {MOST_BYTES:,}: "
                "save it smaller"
            )
        return file.read(size)


def _open(picture: Picture, module: Any, max_pixels: int) -> Any:
    content = picture.content
    data = _read_file(picture) if isinstance(content, str | Path) else bytes(content)
    if not data:
        raise PictureError(f"{picture.name} is empty")
    head = data[:_HEAD].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").lower()
    if head.startswith(b"<") and b"<svg" in head:
        raise PictureError(f"{picture.name} is SVG, which is not supported: save it as PNG")
    try:
        return module.open(io.BytesIO(data), formats=_FORMATS)
    except module.DecompressionBombError as error:
        found = re.search(r"\d+", str(error))
        pixels = f"{int(found[0]):,} pixels" if found else "more pixels than Pillow decodes"
        raise PictureError(
            f"{picture.name} has {pixels}, more than max_pixels ({max_pixels:,}): make it smaller"
        ) from error
    except module.UnidentifiedImageError:
        raise PictureError(
            f"{picture.name} is no picture of a known kind ({', '.join(_FORMATS)})"
        ) from None


def _to_rgb(image: Any, module: Any) -> Any:
    """Any mode of Pillow's to RGB."""
    if image.mode.startswith(("I", "F")):  # 16 and 32 bits: Pillow would cut them off
        values = np.nan_to_num(np.asarray(image, dtype=np.float64))
        whole = 65535.0 if image.mode.startswith("I") else _guess_white(values)
        found = (np.clip(values / whole, 0, 1) * 255).round().astype(np.uint8)
        clear = image.info.get("transparency")  # the gray that is transparent
        if isinstance(clear, int):
            found[values == clear] = 255
        image = module.fromarray(found)
    if image.mode in ("RGBa", "La"):  # colours are multiplied by alpha
        image = image.convert(image.mode.upper())
    if (image.mode != "LAB" and "A" in image.getbands()) or "transparency" in image.info:
        image = image.convert("RGBA")
        white = module.new("RGBA", image.size, (255, 255, 255, 255))
        image = module.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _guess_white(values: np.ndarray) -> float:
    """What floats call white: 1, 255 or 65,535."""
    highest = float(values.max(initial=0))
    return 1.0 if highest <= 1 else 255.0 if highest <= 255 else 65535.0


def _from_array(values: np.ndarray, name: str, max_pixels: int) -> Any:
    from PIL import Image

    shape = values.shape
    if values.ndim not in (2, 3) or 0 in shape or (values.ndim == 3 and shape[2] not in (1, 3, 4)):
        raise PictureError(
            f"{name} must be an array of shape (height, width) or (height, width, 1, 3 or 4 "
            f"channels), got {shape}"
        )
    _check_size(name, (shape[1], shape[0]), max_pixels)
    if values.dtype == bool:
        values = values.astype(np.uint8) * 255
    elif values.dtype.kind == "f":
        if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
            raise PictureError(f"{name} is an array of floats, which have to be from 0 to 1")
        values = (values * 255).round().astype(np.uint8)
    elif values.dtype != np.uint8:
        raise PictureError(f"{name} must be an array of uint8, or of floats, got {values.dtype}")
    values = np.ascontiguousarray(values[:, :, 0] if shape[2:] == (1,) else values)
    return _to_rgb(Image.fromarray(values), Image)
