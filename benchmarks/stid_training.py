"""Our training of `stid` against a plain loop: `python benchmarks/stid_training.py --epochs 3`.

    --days N    the first days of METR-LA (default 28)
    --epochs N  of each (default 3)
    --seeds SEED …  a pair of trainings each, taking turns (default 1 2 3)

The plain one is written as the published code is: convolutions with a kernel of 1x1,
`nn.Dropout`, a DataLoader over a dataset of windows, the calendar with every link (Shao et al.
2022, and BasicTS).
Both take the same windows, scaler, batch size, learning rate, loss and number of steps, on one
thread, with missing values as 0 after scaling. Reports CPU seconds an epoch, and the MAE on the
hold-out.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import numpy as np
import torch
from metr_la import T, metr_la, row
from torch import nn
from torch.utils.data import DataLoader, Dataset

from luigi_traffic import ModelContext
from luigi_traffic.project import current
from luigi_traffic.training.bundle import Bundle
from luigi_traffic.training.descent import Descent
from luigi_traffic.training.evaluate import evaluate
from luigi_traffic.training.fit_inputs import Prepared
from luigi_traffic.training.forecaster import Forecaster
from luigi_traffic.training.scaler import Scaler
from luigi_traffic.training.series import Series
from luigi_traffic.training.windows import Split, split, window_count

WIDTH, RATE, DECAY, DROPOUT, BATCH = 32, 0.002, 0.0001, 0.15, 64


class Windows(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """(T, N, 3) of inputs and (T, N) of targets, window by window."""

    def __init__(self, values: np.ndarray, actual: np.ndarray, of: range) -> None:
        self.values, self.actual, self.of = values, actual, of

    def __len__(self) -> int:
        return len(self.of)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        at = self.of[index]
        x, y = self.values[at : at + T], self.actual[at + T : at + 2 * T]
        return torch.from_numpy(x), torch.from_numpy(y)


class Block(nn.Module):
    """Two convolutions around ReLU and dropout, added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, width, N, 1)`, as it came."""
        changed: torch.Tensor = self.second(self.dropout(torch.relu(self.first(x))))
        return changed + x


class Plain(nn.Module):
    """STID as it is published."""

    def __init__(self, links: int) -> None:
        super().__init__()

        def table(count: int) -> nn.Parameter:
            return nn.Parameter(nn.init.xavier_uniform_(torch.empty(count, WIDTH)))

        self.link, self.slot, self.day = table(links), table(288), table(7)
        self.window = nn.Conv2d(3 * T, WIDTH, 1)
        self.blocks = nn.Sequential(*(Block(4 * WIDTH) for _ in range(3)))
        self.regression = nn.Conv2d(4 * WIDTH, T, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, T, N, 3) -> (B, T, N)`."""
        batch, _, links, _ = x.shape
        slot = self.slot[(x[:, -1, :, 1] * 288).round().long()]
        day = self.day[(x[:, -1, :, 2] * 7).round().long()]
        flat = x.transpose(1, 2).reshape(batch, links, -1).transpose(1, 2).unsqueeze(-1)
        hidden = [
            self.window(flat),
            self.link.expand(batch, -1, -1).transpose(1, 2).unsqueeze(-1),
            slot.transpose(1, 2).unsqueeze(-1),
            day.transpose(1, 2).unsqueeze(-1),
        ]
        out: torch.Tensor = self.regression(self.blocks(torch.cat(hidden, dim=1)))
        return out.squeeze(-1)


def plain(series: Series, parts: Split, scaler: Scaler, seed: int, epochs: int) -> list[float]:
    """CPU seconds an epoch, and MAE on the hold-out."""
    torch.manual_seed(seed)
    mean, std = scaler.target
    scaled = np.nan_to_num(scaler.scale(series.target, series.actual))
    clock = np.stack([series.slot_of_day / 288, series.day_of_week / 7], -1).astype(np.float32)
    calendar = np.broadcast_to(clock[:, None], (*scaled.shape, 2))
    values = np.concatenate([scaled[..., None], calendar], axis=-1)
    actual = np.nan_to_num(series.actual)
    network = Plain(len(series.links))
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE, weight_decay=DECAY)
    loader = DataLoader(Windows(values, actual, parts.train), BATCH, shuffle=True)
    spent = []
    for _ in range(epochs):
        began = time.process_time()
        network.train()
        for x, y in loader:
            mask = y != 0
            loss = ((network(x) * std + mean - y).abs() * mask).sum() / mask.sum().clamp(min=1)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
        spent.append(time.process_time() - began)
    network.eval()
    off, count = 0.0, 0
    with torch.inference_mode():
        for x, y in DataLoader(Windows(values, actual, parts.test), BATCH):
            mask = y != 0
            off += float(((network(x) * std + mean).clamp(min=0) - y).abs()[mask].sum())
            count += int(mask.sum())
    return [statistics.median(spent), off / count]


def ours(
    series: Series, parts: Split, context: ModelContext, seed: int, epochs: int
) -> list[float]:
    """The same, by the pipeline's loop; both are scored as they are after the last epoch."""
    plugins = current().plugins
    model = plugins.model("stid")
    config = plugins.model_config(
        "stid",
        {
            "seed": seed,
            "epochs": epochs,
            "schedule": "constant",
            "device": "cpu",
            "flags": False,
            "fill": "none",  # as published
        },
    )
    prepared = Prepared.of(model, config, series, context)
    descent, spent = Descent(model, prepared), []
    for _ in range(epochs):
        began = time.process_time()
        descent.run_epoch(lambda part, loss: None)
        spent.append(time.process_time() - began)
    bundle = Bundle(
        model, config, prepared.shape, prepared.scaler, prepared.network.eval(), "metr_la",
        prepared.context, np.full(len(series.links), np.nan, np.float32),
    )  # fmt: skip
    scores = evaluate(Forecaster(bundle, "cpu"), series, parts)
    return [statistics.median(spent), float(scores.mae() or 0)]


def main() -> int:
    """Print both of each seed, the medians and their ratio."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--days", type=int, default=28)
    asked.add_argument("--epochs", type=int, default=3)
    asked.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    given = asked.parse_args()
    torch.set_num_threads(1)
    whole, context = metr_la()
    series = Series(
        whole.start, whole.interval, whole.links, ("speed",),
        np.ascontiguousarray(whole.values[: given.days * 288, :, :1]),
    )  # fmt: skip
    parts = split(window_count(len(series), T, T), 0.7, 0.1)
    scaler = Scaler.fit(series, parts.training_rows(T))
    found: dict[str, list[list[float]]] = {"plain": [], "ours": []}
    for seed in given.seeds:
        found["plain"].append(plain(series, parts, scaler, seed, given.epochs))
        found["ours"].append(ours(series, parts, context, seed, given.epochs))
        print(seed, found["plain"][-1], found["ours"][-1], file=sys.stderr, flush=True)
    print(f"{'':28}{'CPU s':>8}{'MAE':>8}")
    medians = {
        name: [statistics.median(run[at] for run in runs) for at in (0, 1)]
        for name, runs in found.items()
    }
    for name, values in medians.items():
        print(row(name, values))
    print(f"{'ratio of CPU seconds':28}{medians['ours'][0] / medians['plain'][0]:8.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
