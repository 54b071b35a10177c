import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.dealing import CONTROL
from analysis.gait import circular_mean, footfalls, gait, oscillation_phase, plot_gait, plot_phases
from rodent.errors import UsageError

DT = 0.01
EPISODES = np.repeat(np.arange(6), 400)


def walk():
    """Two limbs half a stride apart, on the ground for 60 %; faster episodes stride faster."""
    frequency = (2 + 0.5 * np.arange(6))[EPISODES]
    phase = np.cumsum(frequency) * DT
    standing = np.stack([phase % 1 < 0.6, (phase + 0.5) % 1 < 0.6], axis=1)
    return standing, 0.1 * frequency**2


def test_strides_have_their_frequency_duty_length_and_phase():
    standing, speed = walk()
    found = gait(standing, speed, EPISODES, DT, draws=50)
    of = found.strides.episode == 0
    assert np.median(found.strides.frequency[of]) == pytest.approx(2, rel=0.03)
    assert found.strides.duty.mean() == pytest.approx(0.6, abs=0.03)
    np.testing.assert_allclose(found.strides.length, found.strides.speed / found.strides.frequency)
    assert found.phase[0, 1] == pytest.approx(0.5, abs=0.02) and found.coupling[0, 1].value > 0.95
    low, high = found.phase_interval[:, 0, 1]
    assert low <= found.phase[0, 1] <= high < low + 0.1
    assert found.coupling[0, 1].beat == (CONTROL,) and np.isnan(found.phase[0, 0])
    assert found.against_speed["frequency"].value > 0.9
    assert found.against_speed["length"].value > 0.9 and not found.against_speed["length"].nulls  # speed times period
    for measure in ("frequency", "length", "duty"):
        rings = plot_gait(found, measure=measure).get_lines()
        np.testing.assert_array_equal(
            np.concatenate([ring.get_ydata() for ring in rings]), getattr(found.strides, measure)
        )


def test_an_episode_of_one_step_takes_no_part():
    standing, speed = walk()
    alone = gait(standing, speed, EPISODES, DT, draws=20)
    first = gait(np.vstack([standing[:1], standing]), np.append(np.nan, speed), np.append(-1, EPISODES), DT, draws=20)
    for measure in ("frequency", "duty"):
        null = first.against_speed[measure].nulls[CONTROL]
        assert np.isfinite(null).all() and np.array_equal(null, alone.against_speed[measure].nulls[CONTROL])
    np.testing.assert_array_equal(first.strides.start, alone.strides.start + 1)
    np.testing.assert_array_equal(first.strides.episode, alone.strides.episode + 1)


def striding(rng, episodes=8, steps=300):
    """(steps, 2) two limbs that stride each at a rate of its own, which drifts, and know nothing of each other."""
    rates = 2 + 0.3 * np.cumsum(0.1 * rng.normal(size=(episodes, steps, 2)), axis=1) + 0.2 * rng.normal(size=2)
    phase = np.cumsum(np.maximum(rates, 0.5) * DT, axis=1) + rng.random((episodes, 1, 2))
    return (phase % 1 < 0.6).reshape(-1, 2)


def test_limbs_that_stride_independently_are_not_coupled_and_a_slow_speed_does_not_drive_them():
    rng, episodes = np.random.default_rng(0), np.repeat(np.arange(8), 300)
    coupled, driven = 0, 0
    for _ in range(40):
        speed = np.cumsum(rng.normal(size=(8, 300)), axis=1).ravel()
        found = gait(striding(rng), speed, episodes, DT, draws=39)
        coupled += bool(found.coupling[0, 1].beat)
        driven += bool(found.against_speed["frequency"].beat)
    assert coupled <= 5 and driven <= 5  # 2 are expected at a level of 5 %


def pausing(rng):
    """(steps, 1) strides of 0.11 to 0.15 s whose speed is not theirs, and pauses at no speed between some of them."""
    standing, speed = [], []
    for _ in range(10):
        down, pace = [], []
        while len(down) < 500:
            if rng.random() < 0.07:
                pause = int(rng.integers(40, 100))
                down, pace = down + [1] * pause, pace + [0.02] * pause
            period, base = int(rng.integers(11, 16)), rng.uniform(0.4, 1.0)
            down, pace = down + [0] * (period // 2) + [1] * (period - period // 2), pace + [base] * period
        standing += down[:500]
        speed += pace[:500]
    return np.array(standing, dtype=bool)[:, None], np.array(speed)


def test_pauses_are_no_strides_and_make_them_not_quicken_with_speed():
    rng, episodes, driven = np.random.default_rng(0), np.repeat(np.arange(10), 500), {"all": 0, "strides": 0}
    for _ in range(10):
        standing, speed = pausing(rng)
        for name, lasting in (("all", (0.0, np.inf)), ("strides", (0.06, 0.3))):
            found = gait(standing, speed, episodes, DT, draws=39, lasting=lasting)
            driven[name] += bool(found.against_speed["frequency"].beat)
    assert found.strides.frequency.min() > 1 / 0.3
    assert driven["all"] >= 7 and driven["strides"] <= 3


def test_one_episode_has_strides_and_no_null():
    standing, speed = (part[:400] for part in walk())
    found = gait(standing, speed + 0.01 * np.arange(400), np.zeros(400), DT)
    assert found.coupling[0, 1].value > 0.95 and not found.coupling[0, 1].beat
    assert len(found.against_speed["duty"].nulls[CONTROL]) == 0


def test_a_limb_is_drawn_from_its_touch_down_for_as_long_as_it_stands():
    standing, speed = walk()
    found = gait(np.column_stack([standing, np.ones(len(speed))]), speed, EPISODES, DT, draws=50)
    ax = plot_phases(found, 0, ("left", "right", "third"))
    bars = [
        [(path.vertices[:, 0].min(), np.ptp(path.vertices[:, 0])) for path in bar.get_paths()] for bar in ax.collections
    ]
    np.testing.assert_allclose(bars[0], [(0, 0.6), (-1, 0.6)], atol=0.03)
    np.testing.assert_allclose(bars[1], [(0.5, 0.6), (-0.5, 0.6)], atol=0.03)  # goes on from the stride before
    assert [text.get_text() for text in ax.texts] == ["too few strides"]


def test_the_interval_of_a_phase_near_zero_is_not_cut_by_the_turn():
    standing, speed = walk()
    together = np.stack([standing[:, 0], np.roll(standing[:, 0], 1)], axis=1)
    together[::400, 1] = standing[::400, 0]
    found = gait(together, speed, EPISODES, DT, draws=50)
    low, high = found.phase_interval[:, 0, 1]
    assert low <= found.phase[0, 1] <= high < low + 0.1
    assert np.isnan(gait(together[:400], speed[:400], EPISODES[:400], DT, draws=5).phase_interval).all()


def test_footfalls_ignore_what_stays_between_the_thresholds():
    force = np.array([0.0, 0.6, 0.4, 0.6, 0.4, 0.2, 0.4, 0.4, 0.6])
    standing = footfalls(force, np.array([0] * 7 + [1] * 2), on=0.5, off=0.3)[:, 0]
    assert standing.tolist() == [False, True, True, True, True, False, False, False, True]
    with pytest.raises(UsageError, match="not above"):
        footfalls(force, np.zeros(9), on=0.3, off=0.5)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 99), st.booleans())
def test_a_signal_that_is_nowhere_known_gives_no_footfall_in_silence(steps, length, seed, fault):
    rng = np.random.default_rng(seed)
    signal, episodes = rng.normal(size=(steps, 2)), np.arange(steps) // length
    at = int(rng.integers(steps))
    if fault:
        signal[at, 0] = np.nan
    if fault and (episodes == episodes[at]).sum() > 1:
        with pytest.raises(UsageError, match="NaN at 1 steps"):
            footfalls(signal, episodes, 0.5, -0.5)
        return
    standing = footfalls(signal, episodes, 0.5, -0.5)
    assert standing[signal >= 0.5].all() and not standing[signal < -0.5].any() and not standing[np.isnan(signal)].any()


def test_a_body_that_stands_has_no_gait_and_says_so():
    found = gait(np.ones((100, 2)), np.zeros(100), np.zeros(100), DT)
    assert "0 strides" in found.against_speed["frequency"].reason and not found.coupling[0, 1].estimable
    assert np.isnan(found.phase).all() and len(found.strides.limb) == 0


def test_circular_statistics_of_zars_example():
    mean, length, z = circular_mean(np.deg2rad([45, 55, 81, 96, 110, 117, 132, 154]))
    assert np.rad2deg(mean) == pytest.approx(98.988, abs=2e-3)
    assert length == pytest.approx(0.82522, abs=1e-4) and z == pytest.approx(5.448, abs=2e-3)
    assert mean == pytest.approx(stats.circmean(np.deg2rad([45, 55, 81, 96, 110, 117, 132, 154])))
    assert np.isnan(circular_mean([])).all()


def test_the_phase_of_an_oscillation_is_zero_at_its_peaks_and_rises_evenly():
    time = DT * (np.arange(2400) % 400)
    angle = 0.4 + 0.3 * np.cos(2 * np.pi * 3 * time) + 0.2 * time  # a drift is no phase
    phase = oscillation_phase(angle, EPISODES, DT)
    inner = (time > 0.7) & (time < 3.3)
    off = np.angle(np.exp(1j * (phase - 2 * np.pi * 3 * time)))
    assert np.abs(off[inner]).max() < 0.1 and np.nanmin(phase) >= 0 and np.nanmax(phase) < 2 * np.pi


def test_where_nothing_oscillates_there_is_no_phase():
    assert np.isnan(oscillation_phase(np.ones(2400), EPISODES, DT)).all()
    assert np.isnan(oscillation_phase(np.sin(np.arange(90)), np.repeat([0, 1], 45), DT)).all()  # too short
    still = np.where(EPISODES[:, None] < 5, np.cos(2 * np.pi * 3 * DT * np.arange(2400))[:, None], 0.0)[:, 0]
    phase = oscillation_phase(still, EPISODES, DT)
    assert np.isnan(phase[2010:2400]).all() and np.isfinite(phase[:2000]).mean() > 0.9
    with pytest.raises(UsageError, match=r"does not fit steps of 0\.1 s"):
        oscillation_phase(np.zeros(2400), EPISODES, 0.1)
