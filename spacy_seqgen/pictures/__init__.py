"""Pictures: finding, reading and preparing them."""

from .errors import PictureError
from .preparing import PictureSettings, make_pictures
from .reading import read_picture
from .sources import Picture, find_picture

__all__ = [
    "Picture",
    "PictureError",
    "PictureSettings",
    "find_picture",
    "make_pictures",
    "read_picture",
]
