"""Train a small pipeline, make a wheel of it, and write down what it gives."""

import subprocess
import sys
from pathlib import Path

import spacy
import srsly
from spacy.training import Example

PROMPTS = ["To be", "", "Unknown \U0001f600"]


def main(folder: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("text_generator", config={"generation": {"max_length": 40}})
    texts = ["To be, or not to be, that is the question."] * 4
    examples = [Example(nlp.make_doc(text), nlp.make_doc(text)) for text in texts]
    optimizer = nlp.initialize(lambda: examples)
    for _ in range(50):
        nlp.update(examples, sgd=optimizer)
    folder.mkdir(parents=True)
    nlp.to_disk(folder / "model")
    expected = [[doc._.continuation, doc._.surprisal] for doc in nlp.pipe(PROMPTS)]
    srsly.write_json(folder / "expected.json", {"prompts": PROMPTS, "expected": expected})
    command = [sys.executable, "-m", "spacy", "package", str(folder / "model"), str(folder)]
    subprocess.run([*command, "--name", "ci_lm", "--build", "wheel"], check=True)
    requirements = srsly.read_json(next(folder.glob("en_ci_lm*/meta.json")))["requirements"]
    assert any(item.startswith("spacy-seqgen") for item in requirements), requirements


if __name__ == "__main__":
    main(Path(sys.argv[1]))
