"""The settings of a search, each described once. The table in docs/generation.md is
made from these descriptions.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

_FEW_MORE = 10  # a multiple of a short source is too short

# What a beam needs: these belong to sampling.
SAMPLING_OFF = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "typical_p": 1.0}


class OptionError(ValueError):
    """An option is unknown or impossible. The message names it."""


def _option(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class GenerationOptions:
    """How text is generated. Checked together when it is made.

    RAISES (OptionError): Naming the option, its value and what it may be.
    """

    max_length: int = _option(
        200, "Most symbols to generate (characters, for a character model). 0 generates nothing."
    )
    min_length: int = _option(
        0, "Fewest symbols to generate before the end of the text or a stop string may come."
    )
    temperature: float = _option(
        1.0,
        "Divides the logits before the softmax: below 1 is safer, above 1 bolder. "
        "0 always takes the most probable symbol.",
    )
    top_k: int = _option(0, "Choose among the k most probable symbols only. 0 switches it off.")
    top_p: float = _option(
        1.0,
        "Choose among the most probable symbols that together reach this probability "
        "(nucleus sampling, Holtzman et al. 2020). 1 switches it off.",
    )
    min_p: float = _option(
        0.0,
        "Drop symbols less probable than this share of the most probable one "
        "(Nguyen et al. 2024). 0 switches it off.",
    )
    typical_p: float = _option(
        1.0,
        "Choose among the symbols whose surprisal is nearest the expected one and that "
        "together reach this probability (locally typical sampling, Meister et al. 2023). "
        "1 switches it off.",
    )
    repetition_penalty: float = _option(
        1.0,
        "Makes symbols that were generated before less likely: positive logits are divided "
        "by it, negative ones multiplied (Keskar et al. 2019). 1 switches it off.",
    )
    no_repeat_ngram_size: int = _option(
        0, "Never generate the same n symbols in a row twice. 0 switches it off."
    )
    stop: Sequence[str] = _option(
        (), "Strings that end the text. The string itself is not part of the result."
    )
    num_samples: int = _option(
        1,
        "Texts for each prompt: independent samples, or the best of the beam (fewer, should it "
        "find fewer).",
    )
    beam_size: int = _option(
        1, "Hypotheses kept by beam search. 1 samples instead (or is greedy at temperature 0)."
    )
    length_alpha: float = _option(
        0.7,
        "Length penalty of beam search: scores are divided by ((5 + length) / 6) ** alpha "
        "(Wu et al. 2016). 0 switches it off.",
    )
    beam_threshold: float = _option(
        0.0,
        "Beam search drops hypotheses whose log-probability is lower by more than this than that "
        "of the best one that goes on, or of the last one that will be returned (Freitag and "
        "Al-Onaizan 2017), and those that could only win by becoming much longer: less to compute. "
        "0 keeps the whole beam.",
    )
    coverage_beta: float = _option(
        0.0,
        "Coverage penalty of beam search: this times the sum, over the source, of the logarithm "
        "of the attention each symbol got, at most 1 (Wu et al. 2016). Only for translators with "
        "attention. 0 switches it off.",
    )
    max_length_ratio: float = _option(
        0.0,
        "Most symbols as a multiple of those of the source, and 10 more, beside `max_length`. Only "
        "for translators. 0 switches it off.",
    )
    min_length_ratio: float = _option(
        0.0,
        "Fewest symbols as a multiple of those of the source, beside `min_length`. Only for "
        "translators. 0 switches it off.",
    )
    seed: int = _option(
        0,
        "Where sampling starts. The same seed and prompt give the same text, whatever the "
        "batch or the number of processes.",
    )

    def __post_init__(self) -> None:
        if isinstance(self.stop, str):
            object.__setattr__(self, "stop", (self.stop,))
        if not isinstance(self.stop, list | tuple):
            raise OptionError(f"stop must be a string or a list of strings, got {self.stop!r}")
        object.__setattr__(self, "stop", tuple(self.stop))
        for item in fields(self):
            self._check_type(item.name)
        for name, low, high in _RANGES:
            value = getattr(self, name)
            if not low <= value <= high:
                bound = f"{low} or more" if high == math.inf else f"from {low} to {high}"
                raise OptionError(f"{name} must be {bound}, got {value}")
        for name in ("top_p", "typical_p", "repetition_penalty"):
            if getattr(self, name) == 0:
                raise OptionError(f"{name} must be above 0, got 0 (1 switches it off)")
        if not all(isinstance(text, str) and text for text in self.stop):
            raise OptionError(f"stop must hold strings that are not empty, got {self.stop!r}")
        if self.min_length > self.max_length:
            raise OptionError(
                f"min_length ({self.min_length}) must not exceed max_length ({self.max_length})"
            )
        if self.max_length_ratio and self.min_length_ratio > self.max_length_ratio:
            raise OptionError(
                f"min_length_ratio ({self.min_length_ratio}) must not exceed max_length_ratio "
                f"({self.max_length_ratio})"
            )
        self._check_beam()

    def _check_type(self, name: str) -> None:
        value, kind = getattr(self, name), _TYPES[name]
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            object.__setattr__(self, name, float(value))
        elif not isinstance(value, kind) or isinstance(value, bool):
            raise OptionError(f"{name} must be {kind.__name__}, got {value!r}")
        if isinstance(value, float) and not math.isfinite(value):
            raise OptionError(f"{name} must be a finite number, got {value}")

    def _check_beam(self) -> None:
        if self.beam_size == 1:
            if self.coverage_beta:
                raise OptionError("coverage_beta belongs to beam search: set beam_size above 1")
            return
        if self.num_samples > self.beam_size:
            raise OptionError(
                f"num_samples ({self.num_samples}) must not exceed beam_size ({self.beam_size}): "
                "a beam returns no more texts than it keeps"
            )
        for name, value in SAMPLING_OFF.items():
            if getattr(self, name) != value:
                raise OptionError(
                    f"{name} ({getattr(self, name)}) belongs to sampling and means nothing with "
                    f"beam_size {self.beam_size}: set {name} to {value:g}, or beam_size to 1"
                )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "GenerationOptions":
        """Make options from a config block; whatever it leaves out has its default.

        RAISES (OptionError): If the block names an option that does not exist.
        """
        return cls().changed(config)

    def to_config(self) -> dict[str, Any]:
        """As a config block."""
        return {**asdict(self), "stop": list(self.stop)}

    def changed(self, options: Mapping[str, Any]) -> "GenerationOptions":
        """These options with some others.

        RAISES (OptionError): If there is no option of a name.
        """
        known = [item.name for item in fields(self)]
        for name in options:
            if name not in known:
                raise OptionError(f"There is no generation option {name!r}. Known: {known}")
        return replace(self, **options)

    def limit_for(self, symbols: int) -> int:
        """The most symbols for a source with so many."""
        if not self.max_length_ratio:
            return self.max_length
        return min(self.max_length, math.ceil(symbols * self.max_length_ratio) + _FEW_MORE)

    def for_source(self, symbols: int) -> "GenerationOptions":
        """The options with a length instead of a ratio for the shortest.

        symbols (int): The length of the source.
        """
        if not self.min_length_ratio:
            return self
        least = max(self.min_length, math.floor(symbols * self.min_length_ratio))
        least = min(least, self.limit_for(symbols))
        return replace(self, min_length=least, min_length_ratio=0.0)

    def refuse_translator_options(self) -> None:
        """RAISES (OptionError): If an option needs a source, which only translators have."""
        for name in ("coverage_beta", "max_length_ratio", "min_length_ratio"):
            if getattr(self, name):
                raise OptionError(f"{name} is for translators: set it to 0")

    @property
    def is_filtered(self) -> bool:
        """Whether an option leaves symbols out of the choice by their probability."""
        return bool(self.top_k or self.top_p < 1 or self.min_p or self.typical_p < 1)


_TYPES = {
    item.name: {"int": int, "float": float}.get(getattr(item.type, "__name__", ""), tuple)
    for item in fields(GenerationOptions)
}
_RANGES = [
    ("max_length", 0, math.inf),
    ("min_length", 0, math.inf),
    ("temperature", 0, 1000),
    ("top_k", 0, math.inf),
    ("top_p", 0, 1),
    ("min_p", 0, 1),
    ("typical_p", 0, 1),
    ("repetition_penalty", 0, 1000),
    ("no_repeat_ngram_size", 0, math.inf),
    ("num_samples", 1, math.inf),
    ("beam_size", 1, math.inf),
    ("length_alpha", 0, 10),
    ("beam_threshold", 0, 1000),
    ("coverage_beta", 0, 10),
    ("max_length_ratio", 0, 1000),
    ("min_length_ratio", 0, 1000),
    ("seed", 0, math.inf),
]


def options_table() -> str:
    """The options as a Markdown table."""
    rows = ["| Option | Type | Default | Description |", "| --- | --- | --- | --- |"]
    for item in fields(GenerationOptions):
        kind = "list of str" if item.name == "stop" else _TYPES[item.name].__name__
        default = "`[]`" if item.name == "stop" else f"`{item.default}`"
        rows.append(f"| `{item.name}` | {kind} | {default} | {item.metadata['help']} |")
    return "\n".join(rows)
