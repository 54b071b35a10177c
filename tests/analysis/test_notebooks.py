"""Every cell of every notebook runs on the shipped session, and what they say comes from numbers."""

import os
import re
from pathlib import Path

import jupytext
import numpy as np
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from analysis.inference import Estimate, not_estimable
from analysis.nwb_record import record
from analysis.report.findings import Finding
from rodent.errors import UsageError
from tests.analysis.conftest import make_policy

ROOT = Path(__file__).parents[2]
NOTEBOOKS = {"behaviour", "encoding", "timescales", "rotations", "similarity", "tour"}
_ENVIRONMENT = {"PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}", "OMP_NUM_THREADS": "1"}


def executed(name: str, parameters: str = "") -> NotebookNode:
    """A notebook with its outputs, after lines that stand for its parameters have been added to them."""
    notebook = jupytext.read(ROOT / "notebooks" / f"{name}.py")
    (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    cell.source += f"\n{parameters}"
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(ROOT / "notebooks")}})
    return client.execute(env=os.environ | _ENVIRONMENT)


def outputs(notebook: NotebookNode, kind: str) -> list[str]:
    """All that cells showed of one MIME type."""
    return [out.data[kind] for cell in notebook.cells for out in cell.get("outputs", ()) if kind in out.get("data", {})]


def said(notebook: NotebookNode) -> str:
    return "\n".join(outputs(notebook, "text/markdown"))


def test_each_notebook_is_listed_and_has_a_kernel_and_parameters():
    files = {path.stem for path in (ROOT / "notebooks").glob("*.py") if "format_name: percent" in path.read_text()}
    assert files == NOTEBOOKS
    listing = (ROOT / "notebooks" / "README.md").read_text()
    assert set(re.findall(r"\]\((\w+)\.py\)", listing)) == NOTEBOOKS


@pytest.mark.parametrize("name", sorted(NOTEBOOKS))
def test_a_notebook_runs_on_the_shipped_session_and_says_what_it_shows(name):
    notebook = executed(name)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert not [out for cell in code for out in cell.outputs if out.output_type == "stream"]  # no warnings, no prints
    assert outputs(notebook, "image/png")
    text = said(notebook)
    assert len(re.findall(r"\d\.\d", text)) >= 8 and not re.search(r"\bnan\b", text)
    told = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for word in ("**Question.**", "**Method.**", "**Control", "can't be concluded"):
        assert word in told, word
    # Numbers with two decimals are results, and results are computed.
    assert not re.search(r"(?<!\()\d\.\d\d", told)


@pytest.fixture(scope="module")
def two_tasks(tmp_path_factory) -> Path:
    """Of a network with a core: episodes enough to be dealt, and longer than the slowest period of the features."""
    tasks = ["run", "two-tap"]
    policy = make_policy("merel2020", facts={"tasks": tasks, "discount": 0.9, "reward_scale": 0.5})
    path = tmp_path_factory.mktemp("tasks") / "session.nwb"
    return record(policy, path, tasks, 4, seed=3, steps=200, threads=1, sample=True)


NUMBER = r"-?\d\.\d\d \(95 % interval -?\d\.\d\d to -?\d\.\d\d"
PERMUTED = r"samples permuted within blocks -?\d\.\d\d, p = \d\.\d{3}\)"
# Of four short episodes halves may not agree, and which do depends on the weights that a machine's libraries draw.
CEILING = r"at most (?:\d\.\d\d|not estimable \(no two halves of a task's episodes agree\))"
BETWEEN_TASKS = "## The same postures in different tasks"


@pytest.fixture(scope="module")
def similarity(two_tasks) -> NotebookNode:
    return executed("similarity", f"SESSION = {str(two_tasks)!r}\nDRAWS = 40")


def test_layers_stand_beside_each_other_and_beside_permuted_clusters_and_untrained_ones(similarity):
    text = said(similarity)
    assert re.findall("(.*): not estimable", text) == ["vision"]
    both = rf"{NUMBER}; {PERMUTED}; untrained {NUMBER}; {PERMUTED}"
    both = both.replace(r"\d\.\d\d", r"\d\.\d{3}")  # layers that are much alike differ in the third decimal
    for pair in ("core.h and core.c", "core.h and policy.1.h"):
        assert re.search(rf"- {pair}: {both}", text), pair


def test_the_same_postures_in_two_tasks_are_compared_layer_by_layer_in_words_and_a_figure(similarity):
    text = said(similarity)
    assert "**run and two-tap.** Of the network, these answer the same postures alike in both" in text
    for layer in ("core.h", "core.c", "policy.0.h", "policy.1.c"):
        assert re.search(rf"- {layer}: {NUMBER}; {PERMUTED}, {CEILING}; untrained {NUMBER}", text), layer
    begin = [cell.source for cell in similarity.cells].index(BETWEEN_TASKS)
    assert outputs(NotebookNode(cells=similarity.cells[begin:]), "image/png")


def test_planes_of_a_core_stand_beside_those_of_the_policy_in_each_task(two_tasks):
    notebook = executed("rotations", f"SESSION = {str(two_tasks)!r}\nDRAWS, WINDOWS, NETWORKS = 20, 40, 3")
    text, table = said(notebook), outputs(notebook, "text/html")[-1]
    for words in ("layers swapped in whole episodes", "untrained networks", "slowest plane, less core.h"):
        assert words in table, words
    for task in ("run", "two-tap"):
        told = text[text.index(f"**{task}, planes (Hz).** Of ") :]
        assert re.search(r"Of \d+ differences between policy.0.h, .* and core.h and core.c, these are greater", told)
        for layer in ("core.h", "core.c", "policy.0.h", "policy.mean"):
            plane = rf"{NUMBER}; maximum entropy \d.*"
            assert re.search(rf"^- {layer}: {plane}; slowest {plane}", told, re.MULTILINE), layer
        assert re.search(rf"^- core.h: .*; untrained {NUMBER}; maximum entropy", told, re.MULTILINE)
        assert "- policy.1.h: not estimable (rank 5; needs 6" in told  # it has five units


@pytest.fixture
def showing(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "notebooks")
    import showing

    return showing


def test_words_about_a_control_that_a_number_does_not_have_are_refused(showing):
    estimate = Estimate(0.5, {"shuffles": np.zeros(9)}, (0.4, 0.6))
    assert showing.told(estimate, "shuffles") == "0.50 (95 % interval 0.40 to 0.60; shuffles 0.00, p = 0.100)"
    with pytest.raises(UsageError, match="no control 'permuted samples'; give one of shuffles"):
        showing.told(estimate, "permuted samples")
    assert showing.told(Estimate(0.5, {"shuffles": np.empty(0)}), "shuffles") == "0.50 (no draws of shuffles)"
    assert showing.told(not_estimable("constant"), "permuted samples") == "not estimable (constant)"


def test_what_goes_beyond_its_controls_does_so_after_correction_for_all_numbers_of_the_table(showing):
    draws = np.arange(99.0)
    clear, near = ({"a": draws - 50, "b": draws}, {"a": draws - 50, "b": draws + 3})
    findings = [Finding("m", Estimate(98.5, nulls), layer=name) for name, nulls in (("clear", clear), ("near", near))]
    findings.insert(1, Finding("m", not_estimable("constant"), layer="constant"))
    many = [*findings, *(Finding("m", Estimate(0.0, clear), layer=f"chance {i}") for i in range(2))]
    assert "b" in findings[-1].estimate.beat  # p is 0.05 without the correction
    assert [each.layer for each in showing.beyond(findings)] == ["clear", "near"]
    assert [each.layer for each in showing.beyond(many)] == ["clear"]
    assert [each.layer for each in showing.beyond(many, "a")] == ["clear", "near"]


def test_tasks_that_are_too_short_to_compare_say_so(mlp_session):
    text = said(executed("behaviour", f"SESSIONS = [{str(mlp_session)!r}]"))
    assert "What tasks share can't be answered from run and two-tap alone (no episode is as long" in text


def test_bands_are_held_against_each_other_where_there_are_two_tasks(two_tasks):
    text = said(executed("behaviour", f"SESSIONS = [{str(two_tasks)!r}]"))
    (answer,) = re.findall(r"The task is told with .*", text)
    for what in ("a balanced accuracy of", "movements, and of", "that is greater by"):
        assert re.search(rf"{what} {NUMBER}; \D+ -?\d\.\d\d, p = \d\.\d{{3}}\)", answer), what
    assert ("Slow ones tell more" in answer) != ("no difference beyond the controls" in answer)


def test_a_recurrent_network_is_told_from_a_feed_forward_one(lstm_session):
    text = said(executed("timescales", f"SESSION = {str(lstm_session)!r}"))
    assert "The recurrent layers are core.h and core.c" in text
