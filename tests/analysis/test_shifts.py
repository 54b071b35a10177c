import numpy as np
import pytest

from analysis.shifts import Shifts


@pytest.mark.parametrize("lengths", [[40, 40, 40, 40], [40, 17, 31, 40, 1]])
def test_sums_at_every_lag_equal_those_of_rolling_by_hand(lengths):
    rng, count = np.random.default_rng(0), len(lengths)
    episodes, parts = np.repeat(np.arange(count), lengths), np.arange(count) % 2
    values = rng.normal(size=(len(episodes), 3)).astype(np.float32)
    index = rng.integers(5, size=len(episodes))
    sums = Shifts.of(index, 5, episodes, parts).sums(values)
    assert sums.shape == (40, 2, 5, 3)
    for lag in range(40):
        rolled = np.concatenate([np.roll(index[episodes == name], lag) for name in range(count)])
        for part in (0, 1):
            by_hand = [values[(rolled == b) & (parts[episodes] == part)].sum(axis=0) for b in range(5)]
            np.testing.assert_allclose(sums[lag, part], by_hand, atol=1e-4)
