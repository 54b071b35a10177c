"""Stages of made sessions without a body or a network, and with few fits."""

from importlib import import_module

import pytest

from analysis.report.source import Source
from rodent.errors import UsageError


@pytest.fixture
def source(mlp_session):
    source = Source(mlp_session)
    yield source
    source.close()


@pytest.fixture(autouse=True)
def few_fits(monkeypatch):
    """BOP-DMD of noise and factors of noise take their time."""
    monkeypatch.setattr(import_module("analysis.report.stages.dynamics"), "_BAGS", 1)
    factors = import_module("analysis.report.stages.factors")
    for name, value in (("_DRAWS", 3), ("_RESAMPLES", 3), ("_FACTORS", 2)):
        monkeypatch.setattr(factors, name, value)


@pytest.fixture
def without_body(monkeypatch):
    """Families of features made of a source's senses, and no network to leave untrained."""

    def no_network(session, rows, seed):
        raise UsageError("no network")

    stages = "analysis.report.stages"

    def no_networks(session, rows, seeds):
        raise UsageError("no network")
        yield

    monkeypatch.setattr(import_module(f"{stages}.untrained"), "untrained_activity", no_network)
    monkeypatch.setattr(import_module(f"{stages}.untrained"), "untrained_activities", no_networks)
    for name in ("decoding", "encoding", "similarity"):
        stage = import_module(f"{stages}.{name}")
        monkeypatch.setattr(stage, "families", lambda source, _, rows, components: ({"pose": source.senses[rows]}, {}))
    encoding = import_module(f"{stages}.encoding")
    monkeypatch.setattr(encoding, "behaviour_family", lambda _, rows, components: ({}, {}))
