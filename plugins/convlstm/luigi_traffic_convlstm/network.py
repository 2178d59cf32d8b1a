"""The network: two ConvLSTM layers along the road, then a head.

Shi et al. 2015, "Convolutional LSTM Network" (arXiv:1506.04214): an LSTM whose products
are convolutions, here along the road instead of over a map. As in most implementations
since, the gates have no peephole terms.
"""

from __future__ import annotations

import torch
from torch import nn

KERNEL = 3
#: Of the calendar: sine and cosine of the time of day, sine and cosine of the day of the week.
CALENDAR = 4


class ConvLSTMLayer(nn.Module):
    """`(T, B, channels, positions) -> (T, B, hidden, positions)`.

    The four gates come from one convolution of the input, taken for all steps at once,
    and one of the hidden state.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.of_input = nn.Conv1d(channels, 4 * hidden, KERNEL, padding=KERNEL // 2)
        self.of_state = nn.Conv1d(hidden, 4 * hidden, KERNEL, padding=KERNEL // 2, bias=False)
        # A forget gate that begins open (Jozefowicz et al. 2015); gates: input, forget, output.
        with torch.no_grad():
            assert self.of_input.bias is not None
            self.of_input.bias[hidden : 2 * hidden] = 1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The hidden state after each step."""
        steps, batch = x.shape[:2]
        from_input = self.of_input(x.flatten(0, 1)).unflatten(0, (steps, batch))
        state = cell = x.new_zeros(batch, self.hidden, x.shape[-1])
        out = []
        for step in range(steps):
            # The first state is zero, and so is its convolution.
            all_gates = from_input[step] + self.of_state(state) if step else from_input[step]
            gates, candidate = all_gates.split([3 * self.hidden, self.hidden], dim=1)
            enter, keep, show = gates.sigmoid().chunk(3, dim=1)
            cell = keep * cell + enter * candidate.tanh()
            state = show * cell.tanh()
            out.append(state)
        return torch.stack(out)


class Network(nn.Module):
    """The forecast is the last observed value of the link plus what the layers add.

    `channels` are, for all positions at once, values, observed flags, two of the calendar, and,
    if they are there, ages.
    """

    def __init__(
        self,
        channels: int,
        positions: int,
        own: int,
        hidden: tuple[int, int],
        head: int,
        output_steps: int,
    ) -> None:
        super().__init__()
        self.positions, self.own = positions, own
        self.calendar_at = 2 * positions
        self.added = channels - self.calendar_at - 2
        if self.added % positions:
            raise ValueError(
                f"{self.added} channels after the calendar cannot be told apart by position"
            )
        self.first = ConvLSTMLayer(2 + CALENDAR + self.added // positions, hidden[0])
        self.second = ConvLSTMLayer(hidden[0], hidden[1])
        self.head = nn.Sequential(
            nn.Linear(hidden[1] * positions + CALENDAR, head),
            nn.ReLU(),
            nn.Linear(head, output_steps),
        )
        last = self.head[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)  # training begins at persistence
        nn.init.zeros_(last.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`(B, T, N, channels) -> (B, output_steps, N)`, standard scores."""
        batch, steps, links, _ = x.shape
        flat = x.permute(1, 0, 2, 3).reshape(steps, batch * links, -1)  # (T, B·N, channels)
        count, at = self.positions, self.calendar_at
        value, seen = flat[..., :count], flat[..., count:at]
        added = torch.split(flat[..., at + 2 :], count, dim=-1) if self.added else ()
        calendar = _calendar(flat[..., at], flat[..., at + 1])  # (T, B·N, 4)
        features = torch.cat(
            [
                torch.stack([value, seen, *added], dim=2),
                calendar[..., None].expand(-1, -1, -1, count),
            ],
            dim=2,
        )
        state = self.second(self.first(features))[-1]  # (B·N, hidden, 5)
        change = self.head(torch.cat([state.flatten(1), calendar[-1]], dim=-1))
        base = _last_observed(value[..., self.own], seen[..., self.own])
        forecast: torch.Tensor = base[:, None] + change
        return forecast.reshape(batch, links, -1).permute(0, 2, 1)


def _calendar(time_of_day: torch.Tensor, day_of_week: torch.Tensor) -> torch.Tensor:
    """Sine and cosine of the day and of the week, so that midnight and Sunday have no edge."""
    day = 2 * torch.pi * time_of_day
    week = 2 * torch.pi * (day_of_week + time_of_day) / 7
    return torch.stack([day.sin(), day.cos(), week.sin(), week.cos()], dim=-1)


def _last_observed(value: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """`(B,)` of `(T, B)`: the last value with a flag; 0 (the mean) where there is none."""
    order = torch.arange(1, len(value) + 1, device=value.device, dtype=value.dtype)[:, None]
    at = (order * (seen > 0.5)).argmax(dim=0, keepdim=True)  # without a flag: 0, where value is 0
    return value.gather(0, at)[0]
