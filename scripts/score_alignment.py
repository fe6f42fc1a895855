"""Compare where a translator of the phrasebook looks with the true word alignment.

    python scripts/score_alignment.py training/phrasebook/model-best corpus/phrasebook/test.tsv

For each content word of a translation that is right word for word: is the token of the
source that the decoder looked at most one of those it translates?
"""

from pathlib import Path

import srsly
import typer
from loading import load_with, reading
from make_phrasebook import TOKEN
from phrasebook_words import content_words
from wasabi import msg

from spacy_seqgen.parallel import read_pairs


def main(model: Path, pairs: Path, output: Path | None = None) -> None:
    """PAIRS is a .tsv file of the phrasebook; its alignment is read from the .align file
    beside it. OUTPUT, if given, is a JSON file to add the score to."""
    nlp, translator = load_with(model, "translator")
    translator.attention = True
    with reading(pairs):
        found = list(read_pairs(pairs))
    with reading(pairs.with_suffix(".align")):
        alignments = pairs.with_suffix(".align").read_text(encoding="utf8").splitlines()
        if len(alignments) != len(found):
            raise ValueError(f"{pairs} has {len(found)} pairs, and it has {len(alignments)}")
    docs = nlp.pipe(pair.source for pair in found)
    words = content_words()
    right = total = 0
    for doc, pair, links in zip(docs, found, alignments, strict=True):
        translation = doc._.translations[0]
        if translation.text != pair.target:
            continue
        starts = [match.start() for match in TOKEN.finditer(pair.source)]
        true = {(int(j), starts[int(i)]) for i, j in (link.split("-") for link in links.split())}
        looked = translation.source_of()
        for place, word in enumerate(translation.tokens):
            if word.lower() in words:
                token = doc[looked[place]]
                inside = range(token.idx, token.idx + len(token))
                right += any(place == j and start in inside for j, start in true)
                total += 1
    if total:
        share = f"{right / total:.1%}"
        msg.good(f"Attention to the right word: {right} of {total} content words, {share}")
    else:
        msg.warn(f"No translation of {pairs} is right, so nothing can be compared")
    if output:
        scores = srsly.read_json(output) if output.exists() else {}
        try:
            srsly.write_json(
                output, {**scores, "attention_accuracy": right / total if total else None}
            )
        except OSError as error:
            msg.fail(f"Can't write {output}: {error.strerror or error}", exits=1)


if __name__ == "__main__":
    typer.run(main)
