"""What language models write at four temperatures, and what a temperature does."""

from dataclasses import replace
from typing import Any

import numpy as np

from ..generation import reweight_distribution
from ..generation.options import SAMPLING_OFF
from ..visualize.figure import new_figure
from .blocks import Block, Heading, Picture, Sample, Text
from .inputs import Inputs

TITLE = "Samples"
TEMPERATURES = 0.2, 0.5, 1.0, 1.2
_LENGTH = 240
_SYMBOLS = 10


def build(inputs: Inputs) -> list[Block]:
    found = inputs.with_component("text_generator")
    if not found:
        return [Text("No pipeline here has a text_generator.", absent=True)]
    blocks: list[Block] = []
    for run, name in found:
        try:
            blocks += [Heading(run.name), *_samples(run.nlp, name, inputs.prompt)]
        except (ValueError, OSError) as error:
            blocks.append(Text(f"{run.name} can't be sampled: {error}", absent=True))
    return blocks


def _samples(nlp: Any, name: str, prompt: str) -> list[Block]:
    pipe, doc = nlp.get_pipe(name), nlp.make_doc(prompt)
    options = replace(pipe.options, **SAMPLING_OFF, max_length=_LENGTH, num_samples=1, beam_size=1)
    blocks: list[Block] = []
    kept, generate, score = pipe.options, pipe.generate_text, pipe.score_text
    pipe.generate_text, pipe.score_text = True, False
    try:
        for temperature in TEMPERATURES:
            pipe.options = replace(options, temperature=temperature)
            (result,) = pipe.predict([doc])
            blocks.append(Text(f"Temperature {temperature:g}"))
            blocks.append(Sample(prompt, result.continuations[0].text))
    finally:
        pipe.options, pipe.generate_text, pipe.score_text = kept, generate, score
    symbols, probabilities = pipe.next_symbols(doc)
    order = np.argsort(-probabilities, kind="stable")[:_SYMBOLS]
    shown = [repr(symbols[place])[1:-1].replace(" ", "␣") or " " for place in order]
    weights = [reweight_distribution(probabilities, t)[order] for t in TEMPERATURES]
    words = "; ".join(
        f"at {t:g}, {shown[0]} has {w[0]:.0%} and {shown[1]} {w[1]:.0%}"
        for t, w in zip(TEMPERATURES, weights, strict=True)
    )
    caption = (
        f"The most probable symbols after {prompt!r}, and what each temperature makes of their "
        "probabilities (Chollet 2018, figure 8.2). ␣ is a space."
    )
    blocks.append(Picture(_draw(shown, weights), f"{caption} {words}.", caption))
    return blocks


def _draw(symbols: list[str], weights: list[np.ndarray]) -> Any:
    figure = new_figure(3.7, 3.6)
    for axes, temperature, values in zip(
        figure.subplots(2, 2, sharey=True).flat, TEMPERATURES, weights, strict=True
    ):
        axes.bar(range(len(values)), values, color="C0")
        axes.set_title(f"temperature {temperature:g}", fontsize="small")
        axes.set_xticks(range(len(values)), symbols, fontsize="small", parse_math=False)
        axes.set_ylim(0, 1)
        axes.tick_params(axis="x", length=0)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
