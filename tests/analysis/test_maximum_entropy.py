import numpy as np
import pytest
from scipy import ndimage

from analysis.maximum_entropy import MaximumEntropy, covariance
from rodent.errors import UsageError


@pytest.fixture(scope="module")
def states():
    """Smooth over time, correlated over units, in groups of conditions, with means."""
    rng = np.random.default_rng(0)
    noise = ndimage.gaussian_filter1d(rng.normal(size=(12, 30, 5)), 2, axis=1)
    noise = noise + noise[np.arange(12) // 4 * 4]
    return noise @ rng.normal(size=(5, 5)) + np.arange(30)[:, None] / 30 + np.arange(5)


@pytest.fixture(scope="module")
def draws(states):
    model, rng = MaximumEntropy.of(states), np.random.default_rng(1)
    return np.array([model.draw(rng) for _ in range(400)])


def test_surrogates_keep_the_covariances_over_each_axis(states, draws):
    model = MaximumEntropy.of(states)
    for axis in range(3):
        wanted = covariance(states - model.mean, axis)
        shares = np.square(model.spread).sum(axis=tuple({0, 1, 2} - {axis}))
        np.testing.assert_allclose((model.bases[axis] * shares) @ model.bases[axis].T, wanted, atol=1e-5 * wanted.max())
        found = np.mean([covariance(draw - model.mean, axis) for draw in draws], axis=0)
        assert np.abs(found - wanted).max() < 0.1 * wanted.max()


@pytest.mark.parametrize("chosen", [slice(None), slice(0, 12, 4)])  # some, or all, directions of conditions vary
def test_sums_over_conditions_are_those_of_the_turned_surrogates_and_of_what_is_outside(states, chosen):
    model = MaximumEntropy.of(np.repeat(states[chosen], 3, axis=0))  # of copies no direction tells them apart
    turned, outside = model.turned()
    whole, part = (each.draw(np.random.default_rng(3)) for each in (model, turned))
    assert part.shape[0] == turned.spread.shape[0] < len(whole)
    np.testing.assert_allclose(np.tensordot(model.bases[0], part, 1) + outside, whole, atol=1e-9)
    products = [np.einsum("ctu,csv->tusv", each, each) for each in (whole, part, outside)]
    np.testing.assert_allclose(products[1] + products[2], products[0], atol=1e-9 * products[0].max())


def test_surrogates_keep_the_means_of_conditions_steps_and_units(states, draws):
    for axes in ((1, 2), (0, 2), (0, 1)):
        margins = np.array([draw.mean(axis=axes) for draw in draws])
        error = margins.std(axis=0) / np.sqrt(len(draws))
        np.testing.assert_allclose(margins.mean(axis=0), states.mean(axis=axes), atol=4.5 * error.max())


def test_surrogates_have_the_greatest_entropy(states):
    """The product of the three covariances fits as well, and is less random."""
    model = MaximumEntropy.of(states)
    variances = np.square(model.spread)
    margins = [variances.sum(axis=tuple({0, 1, 2} - {axis})) / variances.sum() for axis in range(3)]
    product = variances.sum() * np.einsum("i,j,k->ijk", *margins)
    assert np.log(variances).sum() > np.log(product).sum() + 1
    inverse = 1 / variances
    interaction = inverse - inverse.mean(axis=(1, 2), keepdims=True) - inverse.mean(axis=(0, 2), keepdims=True)
    interaction += 2 * inverse.mean() - inverse.mean(axis=(0, 1), keepdims=True)
    assert np.abs(interaction).max() < 1e-6 * inverse.max()


def test_surrogates_are_not_the_states(states, draws):
    centred = states - MaximumEntropy.of(states).mean
    alike = [np.corrcoef(centred.ravel(), (draw - draw.mean()).ravel())[0, 1] for draw in draws]
    assert abs(np.mean(alike)) < 0.05


@pytest.mark.parametrize("states", [np.ones((3, 4, 2)), np.full((3, 4, 2), np.nan), np.ones((3, 4))])
def test_states_without_anything_to_keep_are_refused(states):
    with pytest.raises(UsageError, match="give"):
        MaximumEntropy.of(states)
