"""What can be wrong with a picture."""


class PictureError(ValueError):
    """A picture can't be found, or read. The message names it, and says why."""
