"""`spacy seqgen generate`"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import srsly
from spacy.cli._util import Arg, Opt, setup_gpu
from tqdm import tqdm
from wasabi import msg

from .app import app


@app.command("generate")
def generate_cli(
    model: str = Arg(..., help="Name or path of a pipeline with a text generator"),
    prompts: list[str] = Opt(
        [],
        "--prompt",
        "-p",
        help="Text to continue. Give it again for more texts; without any, texts begin from nothing",
    ),
    prompt_file: Path | None = Opt(
        None,
        "--prompt-file",
        "-f",
        help='File with a text to continue in each line, or JSONL with "text"; - for standard input',
        allow_dash=True,
    ),
    temperature: str = Opt(
        "", "--temperature", "-t", help="One temperature, or several: 0.2,0.5,1.0,1.2. 0 is greedy"
    ),
    num_samples: int | None = Opt(
        None, "--num-samples", "-k", help="Texts for each prompt and temperature"
    ),
    max_length: int | None = Opt(None, "--max-length", "-l", help="Most symbols to generate"),
    top_k: int | None = Opt(None, "--top-k", help="Choose among the k most probable symbols"),
    top_p: float | None = Opt(
        None,
        "--top-p",
        help="Choose among the most probable symbols that together reach this probability",
    ),
    beam_size: int | None = Opt(
        None, "--beam-size", "-b", help="Search for the most probable text with a beam of this size"
    ),
    stop: list[str] = Opt(
        [], "--stop", help="String that ends a text; \\n is a new line. Give it again for more"
    ),
    seed: int | None = Opt(None, "--seed", "-s", help="The same seed gives the same texts"),
    stream: bool = Opt(False, "--stream", help="Show each text while it is made"),
    output: Path | None = Opt(
        None,
        "--output",
        "-o",
        help="Write JSONL (text, meta), as Prodigy reads it, instead of showing the texts",
        dir_okay=False,
    ),
    component: str | None = Opt(
        None, "--component", "-c", help="Name of the text generator, if there are several"
    ),
    use_gpu: int = Opt(-1, "--gpu-id", "-g", help="GPU ID or -1 for CPU"),
) -> None:
    """
    Continue texts with a language model.

    What is not given here is as the pipeline's config has it, in the section
    [components.text_generator.generation]. Examples:

    python -m spacy seqgen generate training/topics/model-best --prompt "The "
    --temperature 0.2,0.5,1.0,1.2

    python -m spacy seqgen generate training/topics/model-best --prompt-file prompts.txt
    --num-samples 3 --output texts.jsonl
    """
    from ..generation.options import SAMPLING_OFF
    from .common import fail, find_component, load_pipeline, make_doc, read_texts

    if prompts and prompt_file:
        msg.fail("Give --prompt or --prompt-file, not both", exits=1)
    if stream and output:
        msg.fail("--stream shows texts, --output writes them: give one of them", exits=1)
    setup_gpu(use_gpu, silent=True)
    nlp = load_pipeline(model)
    _, pipe = find_component(nlp, "text_generator", component)
    given: dict[str, Any] = {
        "num_samples": num_samples,
        "max_length": max_length,
        "top_k": top_k,
        "top_p": top_p,
        "beam_size": beam_size,
        "seed": seed,
        "stop": tuple(text.replace("\\n", "\n") for text in stop) or None,
    }
    given = {key: value for key, value in given.items() if value is not None}
    if beam_size and beam_size > 1:
        # Asked for here, a beam goes before the sampling that the config asks for.
        given = {**SAMPLING_OFF, **given}
    try:
        options = [
            replace(pipe.options, **{**given, **extra})
            for extra in _parse_temperatures(temperature)
        ]
        texts = list(read_texts(prompt_file)) if prompt_file else prompts or [""]
        docs = [make_doc(nlp, text, f"Prompt {i}") for i, text in enumerate(texts, 1)]
        pipe.score_text = False
        if stream and any(o.num_samples > 1 or o.beam_size > 1 for o in options):
            raise ValueError("--stream shows one text: set --num-samples and --beam-size to 1")
        if stream:
            _stream(pipe, docs, options)
        else:
            _generate(pipe, docs, options, output, prompt_file)
    except ValueError as error:
        fail("Can't generate", str(error))
    except KeyboardInterrupt:
        msg.warn("Interrupted", f"Texts made so far are in {output}" if output else "")
        sys.exit(130)


def _generate(
    pipe: Any, docs: list, options: list, output: Path | None, prompt_file: Path | None
) -> None:
    from .common import count, open_output

    if output is None:
        for doc, option, found in _continuations(pipe, docs, options):
            for continuation in found:
                _print_heading(option)
                _print_prompt(doc.text)
                print(continuation.text)
        return
    written = 0
    with open_output(output, prompt_file) as file:
        progress = tqdm(total=len(docs) * len(options), unit=" prompts", disable=None)
        for doc, option, found in _continuations(pipe, docs, options):
            for sample, continuation in enumerate(found):
                _write_row(file, doc.text, option, sample, continuation)
                written += 1
            progress.update()
        progress.close()
    msg.good(f"Wrote {count(written, 'text')} to {output}")


def _continuations(pipe: Any, docs: list, options: list) -> Iterator[tuple[Any, Any, list]]:
    """Each prompt with each of the options, a batch at a time."""
    for option in options:
        pipe.options = option
        for first in range(0, len(docs), 256):
            batch = docs[first : first + 256]
            for doc, result in zip(batch, pipe.predict(batch), strict=True):
                yield doc, option, result.continuations


def _write_row(file: IO, prompt: str, option: Any, sample: int, continuation: Any) -> None:
    meta = {
        "prompt": prompt,
        "continuation": continuation.text,
        "temperature": option.temperature,
        "sample": sample,
        "seed": option.seed,
        "log_prob": round(continuation.log_prob, 4),
        "finish_reason": continuation.finish_reason,
    }
    row = {"text": prompt + continuation.text, "meta": meta}
    file.write(srsly.json_dumps(row) + "\n")
    file.flush()


def _stream(pipe: Any, docs: list, options: list) -> None:
    for doc in docs:
        for option in options:
            _print_heading(option)
            _print_prompt(doc.text)
            pipe.options = option
            for piece in pipe.stream(doc):
                print(piece, end="", flush=True)
            print()


def _print_heading(option: Any) -> None:
    searched = f"beam {option.beam_size}" if option.beam_size > 1 else (
        f"temperature {option.temperature:g}"
    )  # fmt: skip
    msg.divider(searched)


def _print_prompt(text: str) -> None:
    bold = sys.stdout.isatty()
    print(f"\033[1m{text}\033[0m" if bold else text, end="", flush=True)


def _parse_temperatures(text: str) -> list[dict[str, float]]:
    if not text:
        return [{}]
    try:
        return [{"temperature": float(part)} for part in text.split(",")]
    except ValueError:
        raise ValueError(
            f"--temperature must be a number, or several with commas between, got {text!r}"
        ) from None
