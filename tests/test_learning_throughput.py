"""What learning costs is measured of each learner, with how much it learnt in an update."""

import pytest

from tests.benchmark import load
from tests.policies.point_mass import make_point_masses


@pytest.mark.parametrize("learner", ["ppo", "vmpo"])
def test_each_learner_is_measured_with_the_minibatches_of_its_updates(learner: str, monkeypatch: pytest.MonkeyPatch):
    script = load("learning_throughput", monkeypatch)
    monkeypatch.setattr(script, "make_rodent_env", make_point_masses)
    row = script.measure("lstm", learner, threads=1, seconds=0)
    settings = script.replace(script.load_yaml(script.CONFIG), learner=learner).learner_settings
    passes = 64 * 16 // settings.minibatch  # of the first phase's environments and steps
    assert row["learner"] == learner and row["minibatches_at_most"] == settings.epochs * passes
    assert 0 < row["minibatches"] <= row["minibatches_at_most"]
    if learner == "vmpo":
        assert row["minibatches"] == row["minibatches_at_most"]
