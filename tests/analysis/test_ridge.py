import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold

from analysis.ridge import HeldOut, totals

GROUPS = np.repeat(np.arange(9), 12)


@pytest.mark.parametrize("columns", [5, 200])  # fewer than steps, and more: of either, the smaller matrix is decomposed
def test_errors_equal_those_of_scikit_learn_at_the_penalty_that_predicts_best(columns):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(108, columns)) * rng.uniform(0.01, 10, size=columns)
    target = features[:, :2] @ [1.0, 0.5] + rng.normal(size=108)
    found, errors = HeldOut.of(features, GROUPS, 3).errors(target[:, None])[:, 0], np.zeros(9)
    for train, test in GroupKFold(3).split(features, groups=GROUPS):
        mean, spread = features[train].mean(axis=0), features[train].std(axis=0)
        scaled, held = (features[train] - mean) / spread, (features[test] - mean) / spread
        inner = np.unique(GROUPS[train], return_inverse=True)[1] % 3 == 1
        tried = {
            penalty: np.square(
                Ridge(penalty * (~inner).sum()).fit(scaled[~inner], target[train][~inner]).predict(scaled[inner])
                - target[train][inner]
            ).mean()
            for penalty in np.logspace(-4, 2, 7)
        }
        model = Ridge(min(tried, key=tried.get) * len(train)).fit(scaled, target[train])
        np.add.at(errors, GROUPS[test], (model.predict(held) - target[test]) ** 2)
    np.testing.assert_allclose(found, errors, rtol=1e-6)


def test_sets_of_targets_are_fitted_as_if_each_were_alone():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(108, 30))
    clear = features[:, :2] + 0.1 * rng.normal(size=(108, 2))
    loud = 100 * rng.normal(size=(108, 2))
    models = HeldOut.of(features, GROUPS, 4)
    both = models.errors(np.concatenate([clear, loud], axis=1), sets=2)
    np.testing.assert_allclose(both, np.concatenate([models.errors(clear), models.errors(loud)], axis=1))
    together = models.errors(np.concatenate([clear, loud], axis=1))
    assert together[:, 0].sum() > 2 * both[:, 0].sum()  # of one penalty, the loud ones' is taken


def test_the_training_mean_predicts_where_there_are_no_features():
    target = np.random.default_rng(2).normal(size=(108, 1))
    errors = totals(target, GROUPS, 9)
    by_hand = [np.square(target[name == GROUPS] - target[name != GROUPS].mean()).sum() for name in range(9)]
    np.testing.assert_allclose(errors[:, 0], by_hand)
