"""Head ``phrase``: typed phrases searched for in the recogniser's phones, without any training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan

from kws.errors import ConfigError
from kws.heads.base import Head, HeadOptions
from kws.phones import BLANK, NUM_OUTPUTS, encode
from kws.structs import StreamState

WORST_FRAME = 8.0
"""A single frame costs a path no more than this, in nats: one misheard phone is not the end of it."""
FRAME_COST = 0.02
"""Cost of each frame in nats, so that a slow reading cannot wait in silence for free."""
WAIT_FRAMES = 3
"""A path waits for no more blanks than so many after its last phone (0.12 s): it is over then. Without a
bound the score stayed up in silence for seconds, and a second call was not heard."""
PAUSE_FRAMES = 8
"""Before its last phone a path waits for no more blanks than so many (0.32 s). Without a bound, a last phone
that was never said could be taken for misheard at any time after the others."""
LOWEST = 200.0
"""A path that is this far behind, in nats, is as good as none."""
SMALLEST = 1e-9
SLOPE, OFFSET = 2.0, 4.0
"""Logit = offset + slope * nats per phone: 0.98 for a perfect reading, 0.5 at two nats per phone."""


@dataclass(frozen=True, slots=True)
class TypedOptions(HeadOptions):
    """Options of a head that is made from typed phrases."""

    pronunciations: tuple[tuple[str, ...], ...]
    """Of each keyword one or more, as ARPAbet phones between spaces."""

    def check(self, num_keywords: int) -> None:
        """See :meth:`HeadOptions.check`."""
        if len(self.pronunciations) != num_keywords:
            raise ConfigError(
                f"head_options.pronunciations: got {len(self.pronunciations)}, allowed: one list for each of "
                f"the {num_keywords} keywords"
            )


@dataclass(frozen=True, slots=True)
class PhraseOptions(TypedOptions):
    """Options of head ``phrase``."""

    readings: tuple[tuple[int, ...], ...] = ()
    """Phones in each recorded version of each keyword."""


class PhraseHead(Head):
    """Phone outputs, and for each way of saying a keyword the best CTC path that ends now, wherever it began.

    A path earns in each frame the log-probability of its symbol less that of the likeliest symbol, so nothing
    is above 0 and what is said before does not matter. A way is typed (a sequence of phones) or recorded (a
    sequence of phone distributions, as the recogniser heard a recording; a frame then earns the logarithm of
    the inner product). The score of a keyword is that of its best typed way, per phone, or where there are
    recorded ones the mean of that and of the best recorded way. The state is kept as distance from
    :data:`LOWEST`, so that zero is a cold start.
    Source: keyword spotting by a CTC lattice against a free phone loop, as in Hwang, Lee and Sung,
    arXiv:1512.08903; inner products of phone posteriors for spoken examples, Hazen et al., ASRU 2009.

    Args:
        dimension: features per encoder frame.
        pronunciations: of each keyword one or more, as ARPAbet phones between spaces.
        readings: of each keyword, the number of phones in each recorded way; empty where there is none.
            Their distributions are the buffer ``heard`` (phones of all readings, 40).
    Raises:
        ManifestError: a phone is unknown.
    """

    def __init__(
        self,
        dimension: int,
        pronunciations: Sequence[Sequence[str]],
        readings: Sequence[Sequence[int]] = (),
    ) -> None:
        super().__init__()
        self.output = nn.Sequential(nn.LayerNorm(dimension), nn.Linear(dimension, NUM_OUTPUTS))
        self.heard: Tensor
        lengths = readings or [[] for _ in pronunciations]
        self.register_buffer("heard", torch.zeros(sum(map(sum, lengths)), NUM_OUTPUTS))
        paths, self.groups, first = [], [], NUM_OUTPUTS
        for spoken_of, lengths_of in zip(pronunciations, lengths, strict=True):
            paths += [encode(spoken) for spoken in spoken_of]
            self.groups.append(len(spoken_of))
            for length in lengths_of:
                paths.append(list(range(first, first + length)))
                first += length
            self.groups.append(len(lengths_of))
        symbols, enter, skip, stay, pass_by = _lattice(paths)
        self.symbols: Tensor
        self.enter: Tensor
        self.skip: Tensor
        self.stay: Tensor
        self.pass_by: Tensor
        self.num_phones: Tensor
        num_phones = torch.tensor([float(len(path)) for path in paths])
        for name, values in (
            ("symbols", symbols),
            ("enter", enter),
            ("skip", skip),
            ("stay", stay),
            ("pass_by", pass_by),
            ("num_phones", num_phones),
        ):
            self.register_buffer(name, values, persistent=False)

    def initial_state(self, batch: int) -> StreamState:
        """Return the zero state of every path."""
        return [torch.zeros(batch, *self.symbols.shape)]

    def forward(self, features: Tensor, state: StreamState) -> tuple[Tensor, StreamState]:
        """See :meth:`Head.forward`."""
        logits, paths = self.search(torch.log_softmax(self.output(features), dim=-1), state[0])
        return logits, [paths]

    def search(self, log_probabilities: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Follow the paths through the next frames.

        Args:
            log_probabilities: (batch, time, 40) of the blank and the phones.
            state: (batch, path, state), what the last call returned, or zeros.
        Returns:
            logits (batch, time, keyword) and the next state.
        """
        behind = log_probabilities - log_probabilities.amax(dim=-1, keepdim=True)
        if len(self.heard):
            behind = torch.cat([behind, torch.log(behind.exp() @ self.heard.t() + SMALLEST)], dim=-1)
        # (batch, time, path, state)
        gains = behind.clamp(min=-WORST_FRAME)[:, :, self.symbols] - FRAME_COST

        last = self.symbols.shape[1] - 1 - WAIT_FRAMES  # where the last phone of every path is

        def advance(paths: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
            paused = paths[..., last - PAUSE_FRAMES : last].amax(dim=-1, keepdim=True)
            at_once = paths[..., last - PAUSE_FRAMES - 1 : last - PAUSE_FRAMES] + self.pass_by
            before = nn.functional.pad(paths[..., : last - 1], (1, 0), value=-LOWEST)
            stepped = torch.cat([before, torch.maximum(paused, at_once), paths[..., last:-1]], dim=-1)
            skipped = nn.functional.pad(paths[..., :-2], (2, 0), value=-LOWEST) + self.skip
            stayed = paths + self.stay
            best = torch.maximum(torch.maximum(stayed, stepped), torch.maximum(skipped, self.enter))
            paths = (best + gain).clamp(min=-LOWEST)
            return paths, paths[..., last:].amax(dim=-1)

        next_state, ends = _through_time(advance, state - LOWEST, gains)
        per_phone = torch.split(ends / self.num_phones, self.groups, dim=-1)
        best = [
            (typed.amax(dim=-1) + recorded.amax(dim=-1)) / 2 if recorded.shape[-1] else typed.amax(dim=-1)
            for typed, recorded in zip(per_phone[0::2], per_phone[1::2], strict=True)
        ]
        return OFFSET + SLOPE * torch.stack(best, dim=-1).movedim(0, 1), next_state + LOWEST


def _lattice(paths: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Lay paths out as (path, state): symbol, blank, symbol, blank, ..., and all ends of paths in one place.

    Before the last symbol are :data:`PAUSE_FRAMES` blanks, of which any may be the last before it, after it
    :data:`WAIT_FRAMES`; in none of them a path stays.

    Returns:
        The symbol of each state; what it costs to begin there, to come from two states before, and to stay;
        and for each path, (path, 1), what it costs to go from the last symbol but one to the last at once.
    """
    longest = max(2, *map(len, paths))
    last = 2 * (longest - 1) - 1 + PAUSE_FRAMES
    symbols = torch.full((len(paths), last + 1 + WAIT_FRAMES), BLANK)
    enter, skip = torch.full(symbols.shape, -LOWEST), torch.full(symbols.shape, -LOWEST)
    stay, pass_by = torch.zeros(symbols.shape), torch.full((len(paths), 1), -LOWEST)
    stay[:, last - PAUSE_FRAMES : last] = stay[:, last + 1 :] = -LOWEST
    for number, path in enumerate(paths):
        for position, symbol in enumerate(path):
            is_last = position == len(path) - 1
            state = last if is_last else last - PAUSE_FRAMES - 1 - 2 * (len(path) - 2 - position)
            symbols[number, state] = symbol
            if not position:
                enter[number, state] = 0.0
            elif symbol != path[position - 1]:  # between two equal phones the blank must be heard
                (pass_by if is_last else skip)[number, 0 if is_last else state] = 0.0
    return symbols, enter, skip, stay, pass_by


def _through_time(
    advance: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], state: Tensor, inputs: Tensor
) -> tuple[Tensor, Tensor]:
    """Call ``advance`` for each frame of (batch, time, ...); return the last state and (time, ...) outputs.

    In an exported graph it is one ONNX ``Scan``, for any number of frames. Elsewhere a loop is faster: a scan
    is compiled anew for every length.
    """
    if torch.compiler.is_exporting():
        return scan(advance, state, inputs, dim=1)
    outputs = []
    for frame in inputs.unbind(dim=1):
        state, output = advance(state, frame)
        outputs.append(output)
    return state, torch.stack(outputs)
