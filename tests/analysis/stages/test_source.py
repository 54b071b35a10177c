import numpy as np
import pytest

from analysis.report import source as module


def test_layers_are_read_once_as_far_as_memory_allows_and_cannot_be_written_to(source, monkeypatch):
    name = source.layers[0]
    whole = source.layer(name)
    assert source.layer(name) is whole
    rows = np.arange(0, len(whole), 7)
    np.testing.assert_array_equal(source.layer(name, rows), whole[rows])
    with pytest.raises(ValueError, match="read-only"):
        whole[0, 0] = 1.0
    monkeypatch.setattr(module, "_KEPT", whole.nbytes)  # no more than what is kept already
    other = source.layers[1]
    np.testing.assert_array_equal(source.layer(other), source.layer(other))
    assert source.layer(other) is not source.layer(other) and source.layer(name) is whole
