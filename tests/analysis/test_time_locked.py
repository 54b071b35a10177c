"""What all episodes do alike at the same time since their start belongs to the null, also where steps are left out."""

from types import SimpleNamespace

import numpy as np
import pytest

from analysis.controls import against_controls, other_episodes, shift_within_episodes, time_shift_before
from analysis.dealing import CONTROL
from analysis.decoding import classify, decode
from analysis.encoding import encode
from analysis.information import mutual_information, spatial_information
from analysis.report.source import Source
from analysis.tuning import tuning


def alike(seed, episodes):
    """Records (steps,) that share nothing but what each episode does at a time since its start."""
    rng, time = np.random.default_rng(seed), np.arange(len(episodes)) - np.searchsorted(episodes, episodes)
    course = np.minimum(time / 40, 1.0) + np.sin(2 * np.pi * time / 13) * np.exp(-time / 80)
    return (2 * course + rng.normal(size=len(course)) for _ in range(2))


def session():
    """24 episodes of 250 steps."""
    lengths = np.full(24, 250)
    return SimpleNamespace(lengths=lengths, episodes=np.repeat(np.arange(24), lengths), tasks=np.full(6000, "run"))


LOCKED = {
    "tuning": lambda x, y, e: tuning(x, y, e, bins=5, draws=19).strength.p[0],
    "information": lambda x, y, e: mutual_information(x, y, e, samples=300, draws=19).p[0],
    "spatial information": lambda x, y, e: spatial_information(np.exp(x), y, e, 5, draws=19).per_second.p[0],
    "decode": lambda x, y, e: decode({"x": x}, np.nan_to_num(y), e, 2, 19, known=np.isfinite(y))["x"].p(CONTROL),
    "classify": lambda x, y, e: classify({"x": x}, y > 1, e, 2, 19, known=np.isfinite(y))["x"].p(CONTROL),
    "encode": lambda x, y, e: encode(x, {"y": y}, e, folds=2, draws=19).full.p[0],
    "controls": lambda x, y, e: against_controls(
        lambda activity, rows: np.abs(np.corrcoef(activity[:, 0], y[rows])[0, 1]),
        x[:, None], e, {CONTROL: other_episodes(e)}, draws=19,
    ).p(CONTROL),
}  # fmt: skip
GAPS = [name for name in LOCKED if name not in ("encode", "controls")]  # that take a record with gaps


@pytest.mark.parametrize(("name", "gaps"), [(name, False) for name in LOCKED] + [(name, True) for name in GAPS])
def test_what_episodes_do_alike_at_the_same_time_is_no_effect_where_steps_are_left_out(name, gaps):
    """Thinned, and where the variable has no meaning at random steps."""
    made, found = SimpleNamespace(lengths=np.full(24, 250)), []
    made.episodes = np.repeat(np.arange(24), made.lengths)
    made.tasks = np.full(len(made.episodes), "run")
    for seed in range(10):
        x, y = alike(seed, made.episodes)
        rows = Source.thinned(made, 600, seed=seed)
        x, y, episodes = x[rows], y[rows], made.episodes[rows]
        if gaps:
            y[np.random.default_rng(seed).random(len(y)) < 0.4] = np.nan
        found.append(LOCKED[name](x, y, episodes) <= 0.05)
    assert sum(found) <= 3  # which 10 draws at 5 % exceed once in 1,000


@pytest.mark.parametrize("name", GAPS)
def test_an_effect_is_found_where_the_variable_has_gaps(name):
    made, rng = session(), np.random.default_rng(0)
    rows = made.episodes < 8
    x, _ = alike(0, made.episodes[rows])
    y = x + rng.normal(size=len(x))
    y[rng.random(len(y)) < 0.4] = np.nan
    y[made.episodes[rows] == 3] = np.nan  # an episode that takes no part
    assert LOCKED[name](x, y, made.episodes[rows]) <= 0.05


def test_what_is_thinned_is_rolled_before():
    """So that each step of an episode is of as many steps before."""
    made = session()
    whole, rows = (np.arange(6000) % 250)[:, None], Source.thinned(made, 600)
    rng, before = np.random.default_rng(0), time_shift_before(whole, made.episodes, rows)
    rolled = next(before(whole[rows], 1, rng))[:, 0]
    by_hand = shift_within_episodes(whole, made.episodes, np.random.default_rng(0))[rows, 0]
    np.testing.assert_array_equal(rolled, by_hand)
    lags = (whole[rows, 0] - rolled) % 250
    for episode in range(24):
        assert len(np.unique(lags[made.episodes[rows] == episode])) == 1
