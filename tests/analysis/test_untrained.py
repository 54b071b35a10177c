"""The control that every effect must beat: the network as it was before it learnt anything."""

import numpy as np
import pytest

from analysis.recording import Session
from analysis.untrained import untrained_activities, untrained_activity
from rodent.errors import UsageError


def test_an_untrained_network_has_the_layers_of_the_trained_one_and_another_activity(mlp_session):
    with Session(mlp_session) as session:
        rows = np.arange(int(session.trials.steps.sum()))
        fresh = untrained_activity(session, rows)
        for name, values in fresh.items():
            trained = session.layers[name].read()
            assert values.shape == trained.shape and not np.allclose(values, trained)
        some = untrained_activity(session, rows[::7])
        np.testing.assert_allclose(some["policy.1"], fresh["policy.1"][::7], rtol=1e-6)
        assert not np.allclose(untrained_activity(session, rows, seed=1)["policy.1"], fresh["policy.1"])
        late = rows[session.trials.steps.iloc[0] :]  # a network is driven through the episodes that are asked for alone
        for seed, each in zip((0, 1), untrained_activities(session, late, (0, 1)), strict=True):
            whole = untrained_activity(session, rows, seed)["policy.1"]
            np.testing.assert_allclose(each["policy.1"], whole[late], rtol=1e-5, atol=1e-6)


def test_memory_of_an_untrained_network_begins_anew_with_each_episode(lstm_session):
    with Session(lstm_session) as session:
        lengths = session.trials.steps.to_numpy()
        fresh = untrained_activity(session, np.arange(int(lengths.sum())))
        first = np.abs(fresh["core.h"][[0, lengths[0]]]).mean()
        later = np.abs(fresh["core.h"][lengths[0] - 1]).mean()
        assert fresh["core.h"].std() > 0 and first < later  # hidden state grows from zero


def test_a_network_that_sees_has_no_untrained_control(mlp_session):
    with Session(mlp_session) as session:
        description = {**session.protocol["policy"], "picture": ["eye", [64, 64, 3]]}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Session, "protocol", {"policy": description})
            with pytest.raises(UsageError, match="pictures are not recorded"):
                untrained_activity(session, np.arange(3))
