"""The text classifier as it is written with transformers alone: the other side of the
comparison. Batches are padded to their longest text, as the tokenizer does it; the
optimizer is AdamW with clipping."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

BATCH = 16

Texts = list[tuple[str, int]]


def endless(texts: Texts) -> Iterator[tuple[list[str], list[int]]]:
    """Batches of texts and classes, mixed anew in each epoch."""
    rng, texts = random.Random(0), list(texts)
    while True:
        rng.shuffle(texts)
        for first in range(0, len(texts), BATCH):
            batch = texts[first : first + BATCH]
            yield [text for text, _ in batch], [label for _, label in batch]


class HandLoop:
    """
    folder (str | Path): Weights and tokenizer.
    learn_rate (float): At the first update; falls to 0 in a straight line over `updates`.
    bf16 (bool): Learn under autocast, in bfloat16.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        classes: int = 2,
        learn_rate: float = 5e-5,
        updates: int = 0,
        bf16: bool = False,
    ):
        self.bf16 = bf16
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.net = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=classes)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), learn_rate, weight_decay=0.01)
        self.batches: Iterator[tuple[list[str], list[int]]] | None = None
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: max(0.0, 1 - step / updates) if updates else 1.0
        )

    def run(self, texts: Texts, updates: int) -> int:
        """RETURNS (int): Texts learned from."""
        if self.batches is None:
            self.batches = endless(texts)
        for _ in range(updates):
            self.update(*next(self.batches))
        return updates * BATCH

    def update(self, texts: Sequence[str], labels: Sequence[int]) -> None:
        self.net.train()
        encoded = self.tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            loss = self.net(**encoded, labels=torch.tensor(labels)).loss
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()

    def predict(self, texts: Sequence[str], batch_size: int = 64) -> list[int]:
        """The classes that Hugging Face's own pipeline finds."""
        run = pipeline(
            "text-classification", model=self.net.eval(), tokenizer=self.tokenizer, device="cpu"
        )
        found = run(list(texts), batch_size=batch_size, truncation=True)
        return [int(item["label"].rpartition("_")[2]) for item in found]
