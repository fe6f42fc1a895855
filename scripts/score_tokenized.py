"""BLEU as papers on Multi30k give it: of words as Moses cuts them, in lower case.

    python scripts/score_tokenized.py training/translator-en-de/model-best \
        assets/multi30k/test_2016_flickr.en.gz assets/multi30k/test_2016_flickr.de.gz --lang de

Translations and references go through Moses' normalisation of punctuation and its tokenizer
(here those of sacremoses), then into lower case, as in the preparation of the data by Caglayan
et al. 2017 (https://arxiv.org/abs/1707.04481). sacrebleu's own tokenisation, which
`spacy seqgen evaluate` uses, leaves "l'homme" as one word where Moses sees two.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import srsly
import typer
from loading import load_with, reading
from sacrebleu.metrics import BLEU
from tqdm import tqdm
from wasabi import msg

from spacy_seqgen.parallel import read_pairs
from spacy_seqgen.scorers import bleu_by_length


def tokenized(texts: Sequence[str], lang: str) -> list[str]:
    """Texts as Moses cuts them, in lower case.

    lang (str): Their language, as Moses names it: "de", "fr".
    """
    from sacremoses import MosesPunctNormalizer, MosesTokenizer

    normalizer, tokenizer = MosesPunctNormalizer(lang), MosesTokenizer(lang)
    normal = map(normalizer.normalize, texts)
    return [tokenizer.tokenize(text, return_str=True).lower() for text in normal]


def tokenized_bleu(found: Sequence[str], gold: Sequence[str], lang: str) -> tuple[float, str]:
    """
    found (Sequence[str]), gold (Sequence[str]): Translations, and those they should be.
    RETURNS (tuple[float, str]): BLEU, from 0 to 100, and sacrebleu's signature.
    """
    bleu = make_bleu()
    score = bleu.corpus_score(tokenized(found, lang), [tokenized(gold, lang)])
    return score.score, str(bleu.get_signature())


def make_bleu() -> BLEU:
    return BLEU(tokenize="none", lowercase=True, force=True)


def main(
    model: Path,
    source: Path,
    target: Path,
    lang: Annotated[str, typer.Option(help="Language of the translations, as in de")],
    output: Path | None = None,
) -> None:
    """SOURCE and TARGET have a sentence on each line. OUTPUT, if given, is a JSON file to add the
    score to."""
    with reading(source):
        pairs = list(read_pairs(source, target))
    nlp, _ = load_with(model, "translator")
    docs = nlp.pipe(pair.source for pair in pairs)
    found = [doc._.translation for doc in tqdm(docs, total=len(pairs), unit=" texts", disable=None)]
    gold = [pair.target for pair in pairs]
    try:
        score, signature = tokenized_bleu(found, gold, lang)
    except ImportError as error:
        msg.fail(f"{error}: pip install sacremoses", exits=1)
    lengths = [len(pair.source.split()) for pair in pairs]
    groups = bleu_by_length(make_bleu(), tokenized(found, lang), tokenized(gold, lang), lengths)
    rows = [(n, f"{100 * row['bleu']:.1f}", row["sentences"]) for n, row in groups.items()]
    msg.table(rows, header=("words in the source", "BLEU", "sentences"), divider=True)
    msg.good(f"BLEU, tokenized by Moses, lower case: {score:.2f} ({signature})")
    if output:
        scores = srsly.read_json(output) if output.exists() else {}
        try:
            srsly.write_json(output, {**scores, "bleu_moses_lowercase": score / 100})
        except OSError as error:
            msg.fail(f"Can't write {output}: {error.strerror or error}", exits=1)


if __name__ == "__main__":
    typer.run(main)
