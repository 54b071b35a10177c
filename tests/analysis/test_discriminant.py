import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from analysis.discriminant import discriminate


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(2, 5), features=st.integers(1, 8), offset=st.floats(-50, 50))
def test_it_tells_the_classes_that_scikit_learn_s_discriminants_tell(seed, count, features, offset):
    rng = np.random.default_rng(seed)
    classes = rng.choice(count, size=200, p=np.geomspace(1, 4, count) / np.geomspace(1, 4, count).sum())
    centres = rng.normal(size=(count, features))
    train = centres[classes] + rng.normal(size=(200, features)) + offset
    held = rng.normal(size=(300, features)) + offset
    taught = np.unique(classes)
    peer = LinearDiscriminantAnalysis(solver="lsqr", priors=np.full(len(taught), 1 / len(taught)))
    expected = peer.fit(train, classes).predict(held)
    assert (discriminate(train, classes, held) == expected).mean() > 0.996  # of ties, either


def test_a_feature_that_repeats_another_one_or_tells_nothing_does_not_stop_it():
    rng = np.random.default_rng(0)
    classes = np.arange(100) % 2 + 3
    told = rng.normal(size=100) + 6 * classes
    train = np.stack([told, told, np.ones(100), rng.normal(size=100)], axis=1)
    assert (discriminate(train, classes, train) == classes).mean() > 0.97


@pytest.mark.parametrize("held", [1, 7])
def test_one_class_is_all_that_it_can_tell(held):
    train = np.random.default_rng(0).normal(size=(20, 3))
    np.testing.assert_array_equal(discriminate(train, np.full(20, 4), np.zeros((held, 3))), np.full(held, 4))
