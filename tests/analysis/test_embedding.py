import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from analysis.embedding import embed, embedded, in_one_cluster, map_into, plot_regions, regions
from rodent.errors import UsageError

PLANTED = np.repeat(np.arange(4), 50)
EPISODES = np.tile(np.repeat(np.arange(5), 10), 4)


def clusters(seed):
    return 10 * np.eye(4)[PLANTED] + 0.5 * np.random.default_rng(seed).normal(size=(200, 4))


@pytest.fixture(scope="module")
def embedding():
    return embed(clusters(0), perplexity=20)


def test_four_planted_clusters_are_four_regions(embedding):
    found = regions(embedding, EPISODES, smallest=20)
    assert adjusted_rand_score(PLANTED, found.labels) == 1
    assert adjusted_rand_score(PLANTED, found.clusters) > 0.95
    assert found.agreement.beat == ("rolled labels",)
    plot_regions(found)


def test_new_sessions_map_into_an_old_embedding(embedding):
    found = regions(embedding, EPISODES, smallest=20)
    before = np.array(embedding)
    placed = found.locate(map_into(embedding, clusters(1)))
    assert adjusted_rand_score(PLANTED, placed) == 1
    np.testing.assert_allclose(before, embedding, atol=1e-9)
    again = map_into(embedding, clusters(0))
    assert np.median(np.linalg.norm(again - before, axis=1)) < 2
    assert found.locate([[np.nan, 0], [1e6, 0]]).tolist() == [-1, -1]


def test_an_embedding_that_was_kept_as_arrays_takes_new_sessions_as_it_did(embedding):
    again = embedded(clusters(0), np.array(embedding), 20, 0)
    np.testing.assert_allclose(map_into(again, clusters(1)), map_into(embedding, clusters(1)), atol=1e-6)


def test_regions_that_are_clusters_are_told_from_those_that_are_not():
    rng, labels = np.random.default_rng(0), np.repeat([0, 1, 2], 200)
    clusters = np.where(labels == 2, rng.integers(-1, 4, size=600), labels)
    order = rng.permutation(600)  # so that rolled labels have nothing to do with the clusters
    found = in_one_cluster(labels[order], clusters[order], np.repeat(np.arange(6), 100))
    assert found[0].value == found[1].value == 1 and found[0].beat == found[1].beat == ("rolled labels",)
    assert found[2].value < 0.3 and not found[2].beat and found[2].interval[0] < found[2].value < found[2].interval[1]


def test_what_cannot_be_embedded_is_refused_and_what_has_no_regions_has_a_reason():
    with pytest.raises(UsageError, match="more than three times"):
        embed(clusters(0)[:50], perplexity=20)
    with pytest.raises(UsageError, match="constant"):
        embed(np.ones((200, 3)))
    with pytest.raises(UsageError, match="one feature"):
        embed(clusters(0)[:, :1])
    assert regions(np.ones((200, 2)), EPISODES).agreement.reason == "constant"
    assert regions(clusters(0)[:, :2], np.zeros(200)).agreement.reason.startswith("one episode")
