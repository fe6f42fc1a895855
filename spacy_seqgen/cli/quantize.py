"""`spacy seqgen quantize`"""

from pathlib import Path

from spacy.cli._util import Arg
from wasabi import msg

from .app import app


@app.command("quantize")
def quantize_cli(
    model: str = Arg(..., help="Name or path of a pipeline with a text classifier"),
    output: Path = Arg(..., help="Folder to save the quantized pipeline to", file_okay=False),
) -> None:
    """
    Round the weights of text classifiers to 8 bits, for faster predictions on a CPU. The
    pipeline that is saved is used like the one before, but can't be trained, and its scores
    depend a little on the texts that are predicted together. Example:

    python -m spacy seqgen quantize training/sentiment/model-best training/sentiment/model-int8
    """
    from ..models.text_classification import quantize
    from .common import load_pipeline

    if output.exists() and Path(model).exists() and output.samefile(model):
        msg.fail("OUTPUT must be another folder than MODEL", exits=1)
    nlp = load_pipeline(model)
    done = [name for name, pipe in nlp.pipeline if quantize(getattr(pipe, "model", None))]
    if not done:
        msg.fail(
            "There is nothing to quantize",
            "The pipeline has no spacy-seqgen.TransformerTextCat.v1 with an encoder of its own, or "
            "it is quantized already",
            exits=1,
        )
    try:
        nlp.to_disk(output)
    except OSError as error:
        msg.fail(f"Can't write {output}", str(error), exits=1)
    msg.good(f"Saved the pipeline, with {', '.join(done)} in 8 bits, to {output}")
