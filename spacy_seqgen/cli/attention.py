"""`spacy seqgen attention`"""

from pathlib import Path

from spacy.cli._util import Arg, Opt, setup_gpu
from wasabi import msg

from .app import app


@app.command("attention")
def attention_cli(
    model: str = Arg(..., help="Name or path of a pipeline with a translator"),
    text: str = Arg(..., help="Text to translate"),
    output: Path = Opt(
        ..., "--output", "-o", help="Picture to write: .html, .png, .pdf or .svg", dir_okay=False
    ),
    is_file: bool = Opt(False, "--file", "-f", help="TEXT is a file: draw the first text in it"),
    n_best: int = Opt(1, "--n-best", "-n", help="Translations to choose from (.html only)", min=1),
    component: str | None = Opt(
        None, "--component", "-c", help="Name of the translator, if there are several"
    ),
    use_gpu: int = Opt(-1, "--gpu-id", "-g", help="GPU ID or -1 for CPU"),
) -> None:
    """
    Translate a text, and draw where the decoder looked while it wrote.

    Examples:

    python -m spacy seqgen attention training/phrasebook/model-best "I see the black cat."
    --output attention.html

    python -m spacy seqgen attention training/phrasebook/model-best "I see the black cat."
    --output attention.png
    """
    from ..visualize import render, save_figure
    from .common import find_component, load_pipeline, read_texts
    from .translate import choose_options, translations

    kinds = (".html", ".png", ".pdf", ".svg")
    if output.suffix.lower() not in kinds:
        msg.fail(f"--output must end in one of {', '.join(kinds)}, got {output}", exits=1)
    setup_gpu(use_gpu, silent=True)
    nlp = load_pipeline(model)
    name, pipe = find_component(nlp, "translator", component)
    pipe.attention = True
    try:
        pipe.options = choose_options(pipe.options, None, n_best, None)
        if is_file:
            text = next(iter(read_texts(Path(text))), "")
        ((doc, _),) = translations(nlp, name, [(text, None)], "The command line", 1)
        output.parent.mkdir(parents=True, exist_ok=True)
        if output.suffix.lower() == ".html":
            output.write_text(render(doc, page=True, jupyter=False) or "", encoding="utf8")
        else:
            save_figure(doc, output)
    except (ValueError, ImportError, OSError) as error:
        msg.fail("Can't draw the attention", str(error), exits=1)
    print(doc._.translation)
    msg.good(f"Wrote {output}")
