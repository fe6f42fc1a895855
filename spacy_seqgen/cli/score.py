"""`spacy seqgen score`"""

import heapq
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import srsly
from spacy.cli._util import Arg, Opt, setup_gpu
from tqdm import tqdm
from wasabi import msg

from .app import app


@app.command("score")
def score_cli(
    model: str = Arg(..., help="Name or path of a pipeline with a text generator"),
    path: Path = Arg(
        ..., help='Text file (plain or .gz), directory, .jsonl with "text", or .spacy', exists=True
    ),
    start: str = Opt(
        "0", "--start", help="Where to begin: a number of characters, or a share such as 0.9"
    ),
    stop: str = Opt("1.0", "--stop", help="Where to end, likewise"),
    most: int = Opt(
        20, "--most", "-m", min=0, help="How many of the most surprising tokens to show"
    ),
    output: Path | None = Opt(
        None, "--output", "-o", help="Write JSONL with the surprisal of every token", dir_okay=False
    ),
    component: str | None = Opt(
        None, "--component", "-c", help="Name of the text generator, if there are several"
    ),
    use_gpu: int = Opt(-1, "--gpu-id", "-g", help="GPU ID or -1 for CPU"),
) -> None:
    """
    Say how surprising a text is to a language model.

    Shows bits per character, perplexity, and the most surprising tokens where they
    stand. Example:

    python -m spacy seqgen score training/topics/model-best corpus/topics.txt --start 0.9 --most 10
    """
    from ..vocabularies import UNK
    from .common import fail, find_component, load_pipeline, open_output, read_docs

    setup_gpu(use_gpu, silent=True)
    nlp = load_pipeline(model)
    _, pipe = find_component(nlp, "text_generator", component)
    pipe.generate_text, pipe.score_text = False, True
    bits, chars, unknown, tokens = 0.0, 0, 0, 0
    surprising: list[tuple[float, int, str, int, str]] = []
    try:
        docs = read_docs(nlp, path, _parse_bound(start), _parse_bound(stop))
        progress = tqdm(unit=" characters", unit_scale=True, disable=None)
        with open_output(output, path) if output else nullcontext() as rows:
            for doc in pipe.pipe(docs, batch_size=16):
                progress.update(len(doc.text))
                bits += doc._.surprisal
                unknown += int((pipe.vocabulary.encode(doc).ids == UNK).sum())
                text = doc.text  # made anew by spaCy whenever it is asked for
                for token in doc:
                    tokens += 1
                    entry = token._.surprisal, -tokens, token.text, chars + token.idx
                    if len(surprising) < most or (most and entry > surprising[0][:4]):
                        context = _context(text, token.idx, token.idx + len(token))
                        heapq.heappush(surprising, (*entry, context))
                        if len(surprising) > most:
                            heapq.heappop(surprising)
                chars += len(text)
                if rows:
                    rows.write(srsly.json_dumps(_row(doc)) + "\n")
        progress.close()
    except ValueError as error:
        fail("Can't score", str(error))
    if not chars:
        fail(f"There is no text in {path}")
    _show(bits, chars, tokens, unknown, sorted(surprising, reverse=True))
    if output:
        msg.good(f"Wrote the surprisal of {tokens} tokens to {output}")


def _show(bits: float, chars: int, tokens: int, unknown: int, surprising: list) -> None:
    from ..outputs import perplexity_of

    data = [
        ("Characters", f"{chars:,}"),
        ("Unknown characters", f"{unknown:,}"),
        ("Tokens", f"{tokens:,}"),
        ("Bits per character", f"{bits / chars:.4f}"),
        ("Perplexity (per character)", f"{perplexity_of(bits / chars):.4f}"),
        ("Bits per token", f"{bits / max(tokens, 1):.4f}"),
    ]
    msg.table(data)
    if surprising:
        msg.divider("Most surprising tokens")
        table = [
            (f"{bits:.1f}", repr(text), position, context)
            for bits, _, text, position, context in surprising
        ]
        msg.table(table, header=("Bits", "Token", "Character", "Context"), divider=True)


def _context(text: str, start: int, stop: int) -> str:
    return "…" + text[max(0, start - 20) : stop + 20].replace("\n", "⏎") + "…"


def _row(doc: Any) -> dict[str, Any]:
    return {
        "text": doc.text,
        "tokens": [
            {
                "id": token.i,
                "text": token.text,
                "start": token.idx,
                "end": token.idx + len(token),
                "ws": bool(token.whitespace_),
                "surprisal": round(token._.surprisal, 4),
            }
            for token in doc
        ],
        "meta": {"bits_per_char": doc._.bits_per_char, "perplexity": doc._.perplexity},
    }


def _parse_bound(text: str) -> int | float:
    try:
        return int(text) if text.isdecimal() else float(text)
    except ValueError:
        raise ValueError(
            f"--start and --stop must be numbers of characters or shares such as 0.9, got {text!r}"
        ) from None
