"""The code: which way each place of a copy is moved, and what a leaked copy says about everybody.

A Tardos code with symmetric scores (Tardos 2003; Škorić, Katzenbeisser and Celik 2008), read from real
numbers instead of symbols. Each place has a secret bias drawn from the arcsine law; each copy moves it up
with that probability, independently. Whoever was not given the copy has a word that is independent of
all that leakers know and do, so the probability that their score comes out this high is bounded, for
the very residuals found, by Chernoff's inequality. No assumption on how the copy was changed is in it.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from medtoken.errors import BadInput

Floats = npt.NDArray[np.float64]

THRESHOLD = 1e-6
"""Default of the probability at which somebody is named: that an innocent is, among all candidates."""
CUTOFF = 0.01
"""Biases lie between this and one less this: no place weighs more than ten."""
_CLIPS = (1.0, 4.0, 16.0)
"""How far a residual counts, in steps: narrow where nothing was added, wide against rounding."""
_CANDIDATE_LIMIT = 1_000_000
_TILTS = np.geomspace(0.5, 50.0, 40)


@dataclass(frozen=True)
class Suspect:
    """One candidate, and how surely the copy is theirs."""

    candidate: str
    log10_bound: float
    """Of the probability that one innocent among all candidates looks this guilty, at most."""


@dataclass
class Trace:
    """What a leaked copy says."""

    candidates: int
    places: int
    """Marked places that the leaked copy still has."""
    threshold: float
    named: list[Suspect] = field(default_factory=list)
    """Whose copy it is, or whose copies it was mixed from; empty: not sure."""
    nearest: Suspect | None = None
    """The first among all, whether named or not."""
    notes: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        """The result in words."""
        if self.nearest is None or not self.named:
            return (
                f"Not sure whose copy this is: of {self.candidates:,} candidates, none stands out "
                f"in {self.places:,} places."
            )
        names = ", ".join(one.candidate for one in self.named)
        bound = max(one.log10_bound for one in self.named)
        return (
            f"From the copy of {names}. That an innocent one of {self.candidates:,} candidates is "
            f"named has a probability of at most 10^{math.ceil(bound * 10) / 10:.1f}."
        )


class Code:
    """The words of one master copy, of ``size`` places. The secret is the custodian's."""

    def __init__(self, secret: bytes, master: bytes, size: int) -> None:
        """``master`` is the SHA-256 of the copy before it was marked."""
        if len(secret) < 32:
            raise BadInput("A marking secret must have at least 32 bytes.")
        self._key = hmac.digest(secret, b"medtoken marking 1\0" + master, "sha256")
        self.size = size
        least = math.asin(math.sqrt(CUTOFF))
        angle = least + self._uniform("bias", "") * (math.pi / 2 - 2 * least)
        self._bias = np.sin(angle) ** 2
        self._up = np.sqrt((1 - self._bias) / self._bias)
        self._down = -np.sqrt(self._bias / (1 - self._bias))

    def word(self, licensee: str) -> npt.NDArray[np.int8]:
        """A licensee's word: +1 or -1 for each place."""
        return np.where(self._uniform("word", licensee) < self._bias, 1, -1).astype(np.int8)

    def trace(
        self,
        residuals: Floats,
        seen: npt.NDArray[np.bool_],
        candidates: Sequence[str],
        threshold: float = THRESHOLD,
    ) -> Trace:
        """Whose word a leaked copy carries.

        ``residuals`` are its differences from the master in steps, ``seen`` says at which places it
        has any. They must not have been found with the help of any candidate's word.
        """
        names = sorted(set(candidates))
        if not 0 < len(names) <= _CANDIDATE_LIMIT:
            raise BadInput(f"Between 1 and {_CANDIDATE_LIMIT:,} candidates are needed.")
        if not 0 < threshold < 1:
            raise BadInput("The threshold is a probability, above 0 and below 1.")
        places = np.flatnonzero(seen)
        result = Trace(len(names), len(places), threshold)
        found = residuals[places]
        if not len(places) or not np.any(found):
            return result
        found = found - _centre(found)
        clipped = [np.clip(found, -clip, clip) for clip in _CLIPS]
        judges = [self._judge(values, places) for values in clipped]
        tries = math.log(len(names) * len(_CLIPS))
        suspects = []
        for name in names:
            weights = self._weights(name, places)
            bound = min(
                float(np.min(growth - tilts * (values @ weights)))
                for values, (tilts, growth) in zip(clipped, judges, strict=True)
            )
            suspects.append(Suspect(name, min(0.0, bound + tries) / math.log(10)))
        suspects.sort(key=lambda one: one.log10_bound)
        result.nearest = suspects[0]
        result.named = [one for one in suspects if one.log10_bound <= math.log10(threshold)]
        return result

    def _weights(self, licensee: str, places: npt.NDArray[Any]) -> Floats:
        """A word with mean 0 and variance 1 at each place, over all words."""
        up = self.word(licensee)[places] > 0
        weights: Floats = np.where(up, self._up[places], self._down[places])
        return weights

    def _judge(self, residuals: Floats, places: npt.NDArray[Any]) -> tuple[Floats, Floats]:
        """For a range of tilts, the logarithm of the expected exponential of an innocent's score."""
        scale = math.sqrt(float(residuals @ residuals)) or 1.0
        tilts = _TILTS / scale
        log_bias = np.log(self._bias[places])
        log_rest = np.log1p(-self._bias[places])
        up, down = residuals * self._up[places], residuals * self._down[places]
        growth = np.array(
            [
                float(np.sum(np.logaddexp(log_bias + tilt * up, log_rest + tilt * down)))
                for tilt in tilts
            ]
        )
        return tilts, growth

    def _uniform(self, kind: str, text: str) -> Floats:
        """Numbers in [0, 1), one for each place, by key."""
        seed = hmac.digest(self._key, f"{kind}\0{text}".encode(), "sha256")
        stream = hashlib.shake_256(seed).digest(8 * self.size)
        return (np.frombuffer(stream, "<u8") >> np.uint64(11)) * 2.0**-53


def _centre(residuals: Floats) -> float:
    """What was added to all values: the mean of those near the median (which alone is a step off)."""
    middle = float(np.median(residuals))
    near = residuals[np.abs(residuals - middle) <= _CLIPS[1]]
    return float(np.mean(near)) if len(near) else middle
