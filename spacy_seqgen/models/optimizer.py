"""The optimizer step, computed by PyTorch and driven by the config.

Thinc's optimizers (`Adam.v1`, `RAdam.v1`, `SGD.v1`) hold the settings and schedules that
the config gives them, but update one tensor at a time. `NativeStep` reads their present
values before each step and updates all tensors with one fused call. Two things differ
from Thinc, on purpose: gradients are clipped by their global norm, as every paper has
it, and weight decay spares biases, norms and padding rows. Any module inside may have a
method `learn_rate_factors`, which names those of its parameters that learn slower or faster.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from thinc.api import Optimizer
from torch import Tensor, nn

MAX_AVERAGE_DECAY = 0.9999  # as in thinc.backends.ops.Ops.update_averages


class NativeStep:
    """Updates the parameters of a module.

    net (nn.Module): The module. Parameters that don't require gradients are left alone.
    key (int): The first half of the keys under which the parameters' averages are
        stored in `optimizer.averages`, where `nlp.use_params` finds them.
    """

    def __init__(self, net: nn.Module, key: int):
        self.key = key
        self.updates = 0
        self.parameters = dict(net.named_parameters())
        self._padding = list(_padding_rows(net))
        self._factors = dict(_learn_rate_factors(net))
        self._torch: torch.optim.Optimizer | None = None
        self.source: Optimizer | None = None
        self._kind: tuple[str, bool] | None = None

    def step(self, optimizer: Optimizer) -> None:
        """Update all parameters that have a gradient, and set their gradients to zero.

        optimizer (Optimizer): Where the settings come from. Another one than last time
            begins with empty moments, as in Thinc.
        RAISES (ValueError): If a gradient is not finite.
        """
        if all(item.grad is None for item in self.parameters.values()):
            return
        native = self._configured(optimizer)
        trained = [item for item in self.parameters.values() if item.grad is not None]
        norm = nn.utils.clip_grad_norm_(trained, optimizer.grad_clip or math.inf)
        if not norm.isfinite():
            self.drop_gradients()
            raise ValueError(
                f"The gradient is not finite (update {self.updates + 1}), so the weights were left "
                "as they are. Lower learn_rate, or set grad_clip."
            )
        spared = self._padding if optimizer.L2 else []
        kept = [(weight, row, weight[row].detach().clone()) for weight, row in spared]
        native.step()
        with torch.no_grad():
            for weight, row, values in kept:
                weight[row] = values
        self.drop_gradients()
        self.updates += 1
        if optimizer.averages is not None:
            self._update_averages(optimizer.averages)

    def drop_gradients(self) -> None:
        """Forget the gradients, so that a batch that failed does not spoil the next."""
        for item in self.parameters.values():
            item.grad = None

    def _configured(self, optimizer: Optimizer) -> torch.optim.Optimizer:
        """The PyTorch optimizer, with the values the schedules have reached."""
        kind = _kind_of(optimizer), bool(optimizer.L2_is_weight_decay)
        if self._torch is None or optimizer is not self.source or kind != self._kind:
            self._torch = _make_torch_optimizer(*kind, self._groups())
            self.source, self._kind, self.updates = optimizer, kind, 0
        for group in self._torch.param_groups:
            group["lr"] = float(optimizer.learn_rate) * group["factor"]
            group["weight_decay"] = float(optimizer.L2) if group["decays"] else 0.0
            if "betas" in group:
                group["betas"] = (float(optimizer.b1), float(optimizer.b2))
                group["eps"] = float(optimizer.eps)
        return self._torch

    def _groups(self) -> list[dict[str, Any]]:
        # Frozen ones too: they may be trained later.
        groups: dict[tuple[float, bool], list[Tensor]] = {}
        for name, item in self.parameters.items():
            key = self._factors.get(name, 1.0), item.ndim > 1
            groups.setdefault(key, []).append(item)
        return [
            {"params": items, "factor": factor, "decays": decays}
            for (factor, decays), items in groups.items()
        ]

    def _update_averages(self, averages: dict[Any, Any]) -> None:
        decay = min((1.0 + self.updates) / (10.0 + self.updates), MAX_AVERAGE_DECAY)
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                key = (self.key, name)
                if not parameter.requires_grad:
                    continue
                if key not in averages:  # one that begins later begins where it is
                    start = torch.zeros_like if self.updates == 1 else torch.clone
                    averages[key] = start(parameter.detach())
                averages[key].lerp_(parameter, 1.0 - decay)

    # For checkpoints

    def state(self) -> dict[str, Tensor]:
        """Moments and step counts, by the name of the parameter they belong to."""
        tensors = {"updates": torch.tensor(self.updates)}
        if self._torch is not None:
            names: dict[Any, str] = {item: name for name, item in self.parameters.items()}
            for parameter, values in self._torch.state.items():
                for key, value in values.items():
                    tensors[f"{names[parameter]}/{key}"] = torch.as_tensor(value)
        return tensors

    def load_state(self, tensors: dict[str, Tensor], optimizer: Optimizer) -> None:
        """Take over what `state` returned, for use with an optimizer.

        RAISES (ValueError): If it names a parameter that does not exist, or has another
            shape.
        """
        native = self._configured(optimizer)
        for path, value in tensors.items():
            name, _, key = path.rpartition("/")
            if path == "updates":
                self.updates = int(value)
                continue
            parameter = self.parameters.get(name)
            if parameter is None or (value.ndim and value.shape != parameter.shape):
                raise ValueError(f"The optimizer state {path!r} does not fit the model.")
            # A fused step on a GPU wants its counters there; others want them on the CPU.
            fused = native.param_groups[0].get("fused")
            target = parameter.device if value.ndim or fused else torch.device("cpu")
            native.state[parameter][key] = value.clone().to(target)


def _kind_of(optimizer: Optimizer) -> str:
    if optimizer.use_radam:
        return "radam"
    return "adam" if optimizer.b1 > 0 or optimizer.b2 > 0 else "sgd"


def _make_torch_optimizer(
    kind: str, decoupled: bool, groups: list[dict[str, Any]]
) -> torch.optim.Optimizer:
    fused = all(item.device.type in ("cpu", "cuda", "mps") for g in groups for item in g["params"])
    if kind == "radam":
        return torch.optim.RAdam(groups, decoupled_weight_decay=decoupled)
    if kind == "sgd":
        return torch.optim.SGD(groups, lr=1e-3, fused=fused)
    return (torch.optim.AdamW if decoupled else torch.optim.Adam)(groups, fused=fused)


def _learn_rate_factors(net: nn.Module) -> Iterator[tuple[str, float]]:
    """By what the learning rate is multiplied for parameters that don't take it as it is."""
    for path, module in net.named_modules():
        factors: dict[str, float] = getattr(module, "learn_rate_factors", dict)()
        for name, factor in factors.items():
            yield f"{path}.{name}" if path else name, factor


def _padding_rows(net: nn.Module) -> Iterator[tuple[Tensor, int]]:
    """Rows of embeddings that stand for padding, unless they are tied to a softmax,
    where they are weights like others."""
    owners: dict[int, int] = {}
    for module in net.modules():
        for parameter in module.parameters(recurse=False):
            owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    for module in net.modules():
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            if owners[id(module.weight)] == 1:
                yield module.weight, module.padding_idx
