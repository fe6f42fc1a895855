"""Models of the transformers library that read pictures, as image encoders."""

import inspect
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from .grids import GridReader
from .pretrained_vision import PretrainedEncoder


class TransformersEncoder(PretrainedEncoder):
    """A model of the transformers library that reads pictures.

    model (nn.Module): The model. Its weights keep their names, behind "model.".
    layers (int | None): How many of its layers to use; None for all. What comes before its
        stages or blocks is one layer, each of them is another, and what follows belongs to
        the last.
    width (int): Of the features.
    settings (Any): As for every `PretrainedEncoder`.
    """

    model: Any

    def __init__(self, model: Any, *, layers: int | None, width: int, **settings: Any):
        blocks = _find_blocks(model)
        if layers is not None:
            _cut(model, blocks, layers)
        super().__init__(width, len(blocks) + 1, **settings)
        self.model = model
        places = ((part, min(place, len(blocks))) for _, part, place in _places(model, blocks))
        self.fix(part for part, place in places if place < self.first)
        name = "interpolate_pos_encoding"  # for pictures of another size than in training
        known = inspect.signature(model.forward).parameters
        self._options = {name: True} if name in known else {}
        self._reader = GridReader.of(model)
        self.train()

    def encode(self, pixels: Tensor) -> Tensor:
        states = self.model(pixel_values=pixels, **self._options).last_hidden_state
        return self._reader(states, pixels.shape[2], pixels.shape[3])


def _find_blocks(model: nn.Module) -> Any:
    """The stages of a convolutional network or the blocks of a transformer, as a list of
    modules: the one with most of the weights. All of the model, if none has half of them."""
    lists: list[Any] = [nn.ModuleList([model])]
    for part in model.modules():
        if isinstance(part, nn.ModuleList | nn.Sequential):
            lists.append(part)
            continue
        numbered: dict[str, list[nn.Module]] = {}  # of timm: layer1, layer2 and so on
        for name, child in part.named_children():
            numbered.setdefault(name.rstrip("0123456789"), []).append(child)
        lists += [found for found in numbered.values() if len(found) > 1]
    sizes = [sum(p.numel() for block in blocks for p in block.parameters()) for blocks in lists]
    best = max(range(1, len(lists)), key=sizes.__getitem__, default=0)
    return lists[best if 2 * sizes[best] >= sizes[0] else 0]


def _places(model: nn.Module, blocks: Any) -> Iterator[tuple[str, nn.Module, int]]:
    """All modules, and the layers they are in: 0 for what comes before the blocks, from 1 on
    for these, and one more for what follows."""
    inside = {
        id(part): number for number, block in enumerate(blocks, 1) for part in block.modules()
    }
    place = 0
    for name, part in model.named_modules():  # in the order in which they were made
        place = inside.get(id(part), len(blocks) + 1 if place else 0)
        yield name, part, place


def _cut(model: nn.Module, blocks: Any, layers: int) -> None:
    """Leave out the upper layers, and the norms that follow them."""
    if not 1 <= layers <= len(blocks) + 1:
        raise ValueError(f"layers must be from 1 to {len(blocks) + 1} or null, got {layers}")
    if layers == len(blocks) + 1:
        return
    if isinstance(blocks, list):
        raise ValueError(f"layers must be null for {type(model).__name__}: it can't be cut")
    for name, part, place in list(_places(model, blocks)):
        if place > len(blocks) and isinstance(part, nn.LayerNorm):
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, nn.Identity())
    del blocks[layers - 1 :]
