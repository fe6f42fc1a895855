"""How many layers of an encoder are trained."""

from typing import Any

from .scheduled import Scheduled


class TrainedLayers(Scheduled):
    """A number of layers, counted from the top, that may change from update to update:
    gradual unfreezing (Howard and Ruder 2018, https://arxiv.org/abs/1801.06146, 3.3).

    schedule (int | Iterator | None): The number: always the same, one for each update,
        or None for all layers and the embeddings.
    RAISES (ValueError): If it is negative.
    """

    def __init__(self, schedule: Any = None):
        self.is_all = schedule is None
        super().__init__("train_layers", 0 if schedule is None else schedule, _checked, 0.0)

    def frozen_parts(self, update: int, layers: int) -> int:
        """The parts that are frozen at an update, of an encoder with so many layers: 0 for
        none, 1 for the embeddings, one more for each layer above them."""
        trained = layers + 1 if self.is_all else int(self.at(update))
        return max(0, layers + 1 - trained)


def _checked(layers: float) -> float:
    if layers < 0:
        raise ValueError(f"train_layers must be 0 or more, or null for all, got {layers:g}")
    return layers
