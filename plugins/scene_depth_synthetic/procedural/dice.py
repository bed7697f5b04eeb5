"""Random choices with the same outcome for the same seed in every version of numpy and on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from scene_depth_synthetic.procedural.exact_math import exp

T = TypeVar("T")


class Dice:
    """A stream of random choices. Only PCG64's raw bits are used: numpy guarantees those and not its distributions.

    Args:
        entropy: Whole numbers that name the stream.
    """

    def __init__(self, *entropy: int):
        self._bits = np.random.PCG64(np.random.SeedSequence(entropy))

    def unit(self) -> float:
        """A number in [0, 1)."""
        return (int(self._bits.random_raw()) >> 11) * 2.0**-53

    def uniform(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * self.unit()

    def factor(self, spread: float) -> float:
        """A number around 1, from exp(-spread) to exp(spread), as likely below 1 as above."""
        return float(exp.py_func(self.uniform(-spread, spread)))

    def around(self, mean: float, deviation: float) -> float:
        """A number with the given mean and standard deviation, at most 3.5 deviations away (sum of four uniform ones)."""
        return mean + deviation * 1.7320508075688772 * (self.unit() + self.unit() + self.unit() + self.unit() - 2.0)

    def below(self, count: int) -> int:
        """A whole number from 0 to count - 1."""
        return int(self.unit() * count)

    def between(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + self.below(high - low + 1)

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return self.unit() < probability

    def choice(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.below(len(options))]

    def weighted(self, options: Sequence[tuple[T, float]]) -> T:
        """One of the options, each with its weight."""
        left = self.unit() * sum(weight for _, weight in options)
        for option, weight in options:
            left -= weight
            if left < 0.0:
                return option
        return options[-1][0]

    def shuffled(self, options: Sequence[T]) -> list[T]:
        """The options in random order."""
        result = list(options)
        for i in range(len(result) - 1, 0, -1):
            j = self.below(i + 1)
            result[i], result[j] = result[j], result[i]
        return result

    def seed(self) -> int:
        """A seed for something else, below 2^31."""
        return self.below(2**31)
