"""Pre-trained encoders of the transformers library, computed on packed sequences."""

import functools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .dropout import Dropout
from .packing import Packing, Part
from .quantized import weight_of

# Of these, layers have the same parts, with the same names (and the same order of norms).
_LIKE_BERT = ("bert", "roberta", "xlm-roberta", "camembert")


class PretrainedEncoder(nn.Module):
    """Any encoder of the transformers library. It is given padded batches.

    model (nn.Module): The model. Its weights keep their names, behind "model.".
    """

    model: Any
    can_split = False  # whether layers can be computed by themselves

    def __init__(self, model: Any):
        super().__init__()
        self.model = model
        lists = [item for item in model.modules() if isinstance(item, nn.ModuleList)]
        if not lists:
            raise ValueError(f"{type(model).__name__} has no layers that could be told apart")
        self._layers = [max(lists, key=lambda item: sum(p.numel() for p in item.parameters()))]

    @property
    def layers(self) -> nn.ModuleList:
        return self._layers[0]

    @property
    def width(self) -> int:
        return self.model.config.hidden_size

    def layer_of(self, name: str) -> int:
        """The layer that a parameter of this module is in, from 0; -1 for embeddings and
        whatever else is outside of the layers."""
        return self._places.get(name, -1)

    @functools.cached_property
    def _places(self) -> dict[str, int]:
        layers = {
            id(parameter): number
            for number, layer in enumerate(self.layers)
            for parameter in layer.parameters()
        }
        return {n: layers[id(p)] for n, p in self.named_parameters() if id(p) in layers}

    def below(self, layer: int) -> list[nn.Module]:
        """The modules of the embeddings and of the layers below one."""
        above = {id(part) for item in self.layers[layer:] for part in item.modules()}
        return [part for part in self.modules() if id(part) not in above]

    def embed(self, ids: Tensor, packing: Packing) -> Tensor:
        """What the layers start from: (total,) to (total, width)."""
        return self.model.get_input_embeddings()(ids)

    def run(
        self, states: Tensor, packing: Packing, start: int, stop: int, first_only: bool = False
    ) -> Tensor:
        """Compute the layers from `start` to before `stop`.

        first_only (bool): Return the states of the first position of each sequence
            only, (sequences, width), not those of all positions, (total, width).
        """
        found = []
        for rows, _, part in packing.parts:
            mask = part.mask.long()
            output = self.model(inputs_embeds=part.pad(states[rows]), attention_mask=mask)
            found.append(part.unpad(output.last_hidden_state))
        states = torch.cat(found)
        return states[packing.starts] if first_only else states


class PackedBert(PretrainedEncoder):
    """BERT (Devlin et al. 2019, https://arxiv.org/abs/1810.04805) and its like, without
    padding: only the attention weights see padded sequences. Where only the first
    position is asked for, the last layer computes nothing else."""

    can_split = True

    def embed(self, ids: Tensor, packing: Packing) -> Tensor:
        part = self.model.embeddings
        positions = packing.columns
        if self.model.config.model_type != "bert":  # RoBERTa counts from behind its padding
            positions = positions + part.padding_idx + 1
        vectors = part.word_embeddings(ids) + part.token_type_embeddings.weight[0]
        vectors = vectors + part.position_embeddings(positions)
        return part.dropout(part.LayerNorm(vectors))

    def run(
        self, states: Tensor, packing: Packing, start: int, stop: int, first_only: bool = False
    ) -> Tensor:
        for number in range(start, stop):
            last = number + 1 == len(self.layers)
            states = _layer(self.layers[number], states, packing, first_only and last)
        return states[packing.starts] if first_only and stop < len(self.layers) else states


def _layer(layer: Any, states: Tensor, packing: Packing, first_only: bool) -> Tensor:
    attention = layer.attention.self
    # Many small products cost a CPU less than padding, if there is no gradient of each; on
    # a GPU it is starting them that costs.
    is_even = states.device.type == "cpu" and not torch.is_grad_enabled()
    parts = packing.even_parts if is_even else packing.parts
    if first_only:
        states, seen = states[packing.starts], _attend_first(attention, states, packing, parts)
    else:
        seen = _attend_all(attention, states, parts)
    joined = layer.attention.output(seen, states)
    return layer.output(layer.intermediate(joined), joined)


def _attend_all(attention: Any, states: Tensor, parts: list[Part]) -> Tensor:
    """What each position sees, (total, width)."""
    inputs = [part(states) for part in (attention.query, attention.key, attention.value)]
    heads, found = attention.num_attention_heads, []
    for rows, _, part in parts:
        query, keys, values = (_split_heads(part.pad(item[rows]), heads) for item in inputs)
        seen = _attend(query, keys, values, part, attention)
        found.append(part.unpad(seen.transpose(1, 2).flatten(2)))
    return torch.cat(found)


def _attend(
    query: Tensor, keys: Tensor, values: Tensor, packing: Packing, attention: Any
) -> Tensor:
    """Shape (sequences, heads, positions, width of a head) all."""
    dropout = attention.dropout
    mask = None if packing.is_full else packing.mask[:, None, None]
    if dropout.training and query.device.type == "cpu":
        # As PyTorch computes it then, with faster dropout.
        scores = (query * query.shape[-1] ** -0.5) @ keys.transpose(2, 3)
        if mask is not None:
            scores = scores.masked_fill(~mask, float("-inf"))
        return dropout(scores.softmax(-1)) @ values
    rate = dropout.p if dropout.training else 0.0
    return F.scaled_dot_product_attention(query, keys, values, attn_mask=mask, dropout_p=rate)


def _attend_first(attention: Any, states: Tensor, packing: Packing, parts: list[Part]) -> Tensor:
    """What the first position of each sequence sees, (sequences, width). Products of few
    queries and weights take the place of the keys and values of all positions. (The bias of
    the keys changes all scores alike, which the softmax does not see.)"""
    heads = attention.num_attention_heads
    query = attention.query(states[packing.starts]).unflatten(1, (heads, -1))
    to_keys, to_values = (
        weight_of(part).unflatten(0, (heads, -1)) for part in (attention.key, attention.value)
    )
    asked = (query.transpose(0, 1) @ to_keys).transpose(0, 1)  # (sequences, heads, width)
    size = query.shape[2]
    seen, sums = [], []
    for rows, sequences, part in parts:
        padded = part.pad(states[rows])
        scores = asked[sequences] * size**-0.5 @ padded.transpose(1, 2)
        if not part.is_full:
            scores = scores.masked_fill(~part.mask[:, None], float("-inf"))
        shares = attention.dropout(scores.softmax(-1))
        seen.append(shares @ padded)
        sums.append(shares.sum(-1, keepdim=True))
    values = torch.cat(seen).transpose(0, 1) @ to_values.transpose(1, 2)
    bias = torch.cat(sums) * attention.value.bias.unflatten(0, (heads, -1))
    return (values.transpose(0, 1) + bias).flatten(1)


def _split_heads(rows: Tensor, heads: int) -> Tensor:
    return rows.unflatten(2, (heads, -1)).transpose(1, 2)


def make_encoder(model: Any) -> PretrainedEncoder:
    """The fastest way to compute a model of the transformers library."""
    config = model.config
    kind = getattr(config, "position_embedding_type", "absolute")
    plain = kind == "absolute" and not getattr(config, "is_decoder", False)
    like_bert = getattr(config, "model_type", None) in _LIKE_BERT and plain
    _speed_up_dropout(model)
    return (PackedBert if like_bert else PretrainedEncoder)(model)


def _speed_up_dropout(model: nn.Module) -> None:
    for module in model.modules():
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, Dropout(child.p).train(child.training))


def set_dropout(encoder: nn.Module, rate: float) -> None:
    """Set every rate of dropout inside an encoder."""
    for module in encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate
        if isinstance(getattr(module, "dropout_prob", None), float):
            module.dropout_prob = rate  # type: ignore[assignment]
