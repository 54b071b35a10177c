"""Whatever the shape, the NaN, the constants: each analysis gives a number or says why there is none, never a 0."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.alignment import correspondence
from analysis.decoding import classify, decode
from analysis.dmd import linear_dynamics
from analysis.encoding import encode
from analysis.flow import flow_field
from analysis.gait import gait
from analysis.postures import eigenpostures
from analysis.sequences import sequence
from analysis.targeted import targeted_axes
from analysis.task_variance import task_variance
from analysis.timescales import unit_timescales

ANALYSES = {
    "encode": lambda x, y, e: encode(x, {"y": y}, e, draws=2).full,
    "decode": lambda x, y, e: decode({"x": x}, y, e, draws=2)["x"],
    "classify": lambda x, y, e: classify({"x": x}, np.nan_to_num(y) > 0, e, draws=2)["x"],
    "timescales": lambda x, y, e: unit_timescales(x, e, 0.02, draws=2).tau,
    "task variance": lambda x, y, e: task_variance(x, np.nan_to_num(y) > 0, e, draws=2).silhouette,
    "sequence": lambda x, y, e: sequence(x, np.arange(0, len(x), 3), e, 1, 2, draws=2).reliability,
    "postures": lambda x, y, e: eigenpostures(x, e, components=2, draws=2).explained,
    "targeted": lambda x, y, e: targeted_axes(x, {"y": y}, e, components=2, draws=2).encoded["y"],
    "correspondence": lambda x, y, e: correspondence(x, x**2, e, components=2, draws=2).procrustes,
    "linear dynamics": lambda x, y, e: linear_dynamics(x, e, draws=2).predicted,
    "flow": lambda x, y, e: flow_field(np.stack([x[:, 0], y], axis=1), e, 0.02, bins=3, draws=2).consistency,
    "gait": lambda x, y, e: gait(x > 0, y, e, 0.02, draws=2).against_speed["frequency"],
}


@pytest.mark.parametrize("name", ANALYSES)
@settings(max_examples=12, deadline=None)
@given(
    st.integers(1, 24), st.integers(1, 4), st.integers(1, 12), st.integers(0, 99),
    st.sampled_from(["", "", "nan", "constant", "all constant"]),
)  # fmt: skip
def test_a_result_is_a_number_or_has_a_reason(name, steps, units, length, seed, fault):
    rng = np.random.default_rng(seed)
    activity, variable = rng.normal(size=(steps, units)), rng.normal(size=steps)
    if fault == "nan":
        activity[rng.integers(steps), 0] = np.nan
    elif fault:
        activity[:, 0 if fault == "constant" else slice(None)] = 2.0
    found = ANALYSES[name](activity, variable, np.arange(steps) // length)
    reasons = found.reasons if hasattr(found, "reasons") else [found.reason]
    for value, reason in zip(np.atleast_1d(found.value), reasons, strict=True):
        assert np.isfinite(value) != bool(reason)
    assert fault != "all constant" or name in ("gait", "flow") or all(reasons)
