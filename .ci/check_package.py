"""Load the packaged pipeline, and compare what it gives."""

import sys

import spacy
import srsly


def main(path: str) -> None:
    wanted = srsly.read_json(path)
    nlp = spacy.load("en_ci_lm")
    docs = list(nlp.pipe(wanted["prompts"]))
    for doc, (continuation, surprisal) in zip(docs, wanted["expected"], strict=True):
        assert doc._.continuation == continuation, (doc._.continuation, continuation)
        assert abs(doc._.surprisal - surprisal) < 1e-3
    print(f"The packaged pipeline gives the same {len(docs)} continuations.")


if __name__ == "__main__":
    main(sys.argv[1])
