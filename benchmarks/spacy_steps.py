"""spaCy's own training loop, a few steps at a time."""

from collections.abc import Callable, Sequence
from typing import Any

from spacy.schemas import ConfigSchemaTraining
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import create_train_batches, train_while_improving
from spacy.util import registry, resolve_dot_names
from thinc.api import fix_random_seed


class SpacySteps:
    """What `spacy train` does between two evaluations.

    config (Config): The config of the training, not interpolated.
    count (Callable): How many units there are to learn from in a batch.
    """

    def __init__(self, config: Any, count: Callable[[Any, Sequence[Example]], int]):
        self.nlp = init_nlp(config)
        self.count = count
        self.examples = 0
        resolved = self.nlp.config.interpolate()
        fix_random_seed(resolved["training"]["seed"])
        settings = registry.resolve(resolved["training"], schema=ConfigSchemaTraining)
        (corpus,) = resolve_dot_names(resolved, [settings["train_corpus"]])
        self.batcher = resolved["training"]["batcher"]
        batches = create_train_batches(
            self.nlp, corpus, settings["batcher"], settings["max_epochs"]
        )
        self.steps = train_while_improving(
            self.nlp,
            settings["optimizer"],
            batches,
            lambda: (0.0, {}),
            dropout=settings["dropout"],
            eval_frequency=10**9,
            accumulate_gradient=1,
            patience=0,
            max_steps=0,
            exclude=[],
            annotating_components=[],
            before_update=None,
        )

    def run(self, steps: int) -> int:
        """RETURNS (int): Units learned from."""
        units = 0
        for _ in range(steps):
            batch, _, _ = next(self.steps)
            self.examples += len(batch)
            units += self.count(self, batch)
        return units
