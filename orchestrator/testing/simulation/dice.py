"""Chance, drawn from a seed."""

from random import Random


class Dice(Random):
    """Python's random numbers: the same seed draws the same, in every version and on every machine."""

    def happens(self, chance: float) -> bool:
        """True in `chance` of all cases."""
        return self.random() < chance
