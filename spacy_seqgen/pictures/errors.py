"""What can be wrong with a picture."""


class PictureError(ValueError):
    """A picture can't be found, or read. The message names it, and says why."""


class NoPictureError(PictureError):
    """There is no file of that name."""


class OutsideError(PictureError):
    """It is outside of the folder of the pictures."""
