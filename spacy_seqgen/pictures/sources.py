"""Where the picture of a Doc is."""

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import NoPictureError, OutsideError, PictureError

# A `Path` makes one slash of two.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/|data:", re.IGNORECASE)


@dataclass(frozen=True)
class Picture:
    """A picture that is not read yet.

    name (str): For messages.
    content (Any): A path, bytes, an array, or a picture of Pillow's.
    key (tuple | None): The same for the same content; None where that is not known.
    """

    name: str
    content: Any
    key: tuple[Any, ...] | None = None


def is_address(name: str) -> bool:
    """Whether a name is of something elsewhere, such as https://..."""
    return _URL.match(name) is not None


def find_picture(name: str, directory: str | Path = "") -> Picture:
    """The picture of that name. Nothing is ever fetched from elsewhere.

    name (str): A path.
    directory (str | Path): Where pictures are; those elsewhere are refused. Empty for any
        place, and paths relative to where the program runs.
    RAISES (PictureError): If there is none (NoPictureError), or it may not be read
        (OutsideError: because of where it is).
    """
    if not name.strip():
        raise PictureError("The name of a picture is empty: the text of the Doc has to be its path")
    if is_address(name):
        raise PictureError(f"{name!r} is an address, and pictures are not fetched: save it first")
    if "\0" in name:
        raise PictureError(f"{name!r} is no path: it holds a null character")
    path = Path(directory) / name if directory else Path(name)
    try:
        if directory and not path.resolve().is_relative_to(Path(directory).resolve()):
            raise OutsideError(f"{name!r} is outside of image_dir ({directory}), so it is not read")
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe or a device would never end
            kind = "a directory" if stat.S_ISDIR(found.st_mode) else "a pipe, socket or device"
            raise PictureError(f"{path} is {kind}, not a picture")
    except FileNotFoundError:
        hint = (
            ""
            if directory or path.is_absolute()
            else f" (relative paths begin at {Path.cwd().name}/; see image_dir)"
        )
        raise NoPictureError(f"There is no picture {path}{hint}") from None
    except (OSError, RuntimeError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PictureError(f"Can't read the picture {path}: {reason}") from error
    key = (os.path.abspath(path), found.st_mtime_ns, found.st_size)
    return Picture(str(path), path, key)
