"""What many tests use."""

import contextlib
import warnings

import spacy
import torch
from spacy.training import Example
from thinc.api import fix_random_seed

TEXTS = [
    "To be, or not to be, that is the question.",
    "The lady doth protest too much.",
    "Brevity is the soul of wit.",
    "To thine own self be true.",
]


def make_nlp(texts=TEXTS, *, seed=0, steps=0, learn_rate=0.01, **config):
    """A pipeline with a small text generator, initialized on some texts and trained."""
    fix_random_seed(seed)
    nlp = spacy.blank("en")
    model = {"hidden_size": 32, **config.pop("model", {})}
    nlp.add_pipe("text_generator", config={"model": model, **config})
    examples = make_examples(nlp, texts)
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = learn_rate
    for _ in range(steps):
        nlp.update(examples, sgd=optimizer)
    return nlp


def make_examples(nlp, texts=TEXTS):
    return [Example(nlp.make_doc(text), nlp.make_doc(text)) for text in texts]


@spacy.registry.readers("test.sentences.v1")
def read_sentences(path):
    """Texts with sentence boundaries, for a component of spaCy's own."""

    def read(nlp):
        with open(path) as file:
            for line in file:
                doc = nlp.make_doc(line * 2)
                for token in doc:
                    token.is_sent_start = token.i in (0, len(doc) // 2)
                yield Example(nlp.make_doc(doc.text), doc)

    return read


@spacy.registry.loggers("test.stopping_logger.v1")
def stopping_logger(step):
    """Fails after some steps, as if the process were killed."""

    def setup(nlp, stdout, stderr):
        seen = []

        def log_step(info):
            seen.append(info)
            if len(seen) == step:
                raise MemoryError("killed")

        return log_step, lambda: None

    return setup


@contextlib.contextmanager
def computing_bf16():
    """Compute bfloat16 on any CPU: PyTorch's own kernels know it, oneDNN's may not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's own, about flags that are not set here
        with torch.backends.mkldnn.flags(enabled=False):
            yield
