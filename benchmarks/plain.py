"""The same models as a good engineer writes them in PyTorch alone: the other side of the
comparison. Everything a plain loop can do at no cost is done: the text is encoded once,
the state is carried, the optimizer is fused."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CharLM(nn.Module):
    def __init__(self, symbols: int, embedding: int = 20, hidden: int = 128, layers: int = 1):
        super().__init__()
        self.embedding = nn.Embedding(symbols, embedding)
        self.lstm = nn.LSTM(embedding, hidden, layers)
        self.output = nn.Linear(hidden, symbols)

    def forward(self, ids: Tensor, state: tuple[Tensor, Tensor] | None = None):
        hidden, state = self.lstm(self.embedding(ids), state)
        return self.output(hidden), state


def encode(text: str) -> tuple[Tensor, list[str]]:
    symbols = sorted(set(text))
    table = {symbol: i for i, symbol in enumerate(symbols)}
    return torch.tensor([table[char] for char in text]), symbols


class Training:
    """Truncated back-propagation with carried state; Adam with clipping."""

    def __init__(
        self,
        ids: Tensor,
        symbols: int,
        *,
        rows: int,
        window: int,
        learn_rate: float,
        total_steps: int | None = None,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.0,
    ):
        torch.manual_seed(0)
        self.net = CharLM(symbols)
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), learn_rate, betas=betas, weight_decay=weight_decay, fused=True
        )
        self.learn_rate = learn_rate
        self.total_steps = total_steps
        self.rows, self.window = rows, window
        self.batches = self._batches(ids)
        self.step_count = 0
        self.state: tuple[Tensor, Tensor] | None = None

    def _batches(self, ids: Tensor) -> Iterator[tuple[Tensor, Tensor, bool]]:
        length = (len(ids) - 1) // self.rows
        inputs = ids[: length * self.rows].view(self.rows, length).t().contiguous()
        targets = ids[1 : length * self.rows + 1].view(self.rows, length).t().contiguous()
        while True:
            for first in range(0, length - self.window + 1, self.window):
                part = slice(first, first + self.window)
                yield inputs[part], targets[part], first == 0

    def run(self, steps: int) -> int:
        """RETURNS (int): Characters learned from."""
        self.net.train()
        for _ in range(steps):
            inputs, targets, is_first = next(self.batches)
            if self.total_steps:
                share = min(1.0, self.step_count / self.total_steps)
                rate = self.learn_rate * 0.5 * (1 + math.cos(math.pi * share))
                self.optimizer.param_groups[0]["lr"] = rate
            state = None if is_first else self.state
            logits, state = self.net(inputs, state)
            self.state = (state[0].detach(), state[1].detach())
            loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
            loss.backward()
            nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.step_count += 1
        return steps * self.rows * self.window

    def bits_per_char(self, ids: Tensor) -> float:
        """On held-out text, read from beginning to end."""
        self.net.eval()
        state, total = None, 0.0
        with torch.inference_mode():
            for first in range(0, len(ids) - 1, 1024):
                part = ids[first : first + 1025]
                logits, state = self.net(part[:-1, None], state)
                total += float(F.cross_entropy(logits[:, 0], part[1:], reduction="sum"))
        return total / (len(ids) - 1) / math.log(2)


def generate(net: CharLM, rows: int, length: int) -> Tensor:
    """The char-rnn loop: `nn.LSTM` on sequences of length 1, then a draw."""
    ids = torch.zeros(1, rows, dtype=torch.long)
    state, found = None, []
    with torch.inference_mode():
        for _ in range(length):
            logits, state = net(ids, state)
            probs = logits[-1].softmax(-1)
            ids = torch.multinomial(probs, 1).t()
            found.append(ids)
    return torch.cat(found)
