"""Every cell of every notebook runs on the shipped session, and what they say comes from numbers."""

import os
import re
from pathlib import Path

import jupytext
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

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


def test_tasks_that_are_too_short_to_compare_say_so(mlp_session):
    text = said(executed("behaviour", f"SESSIONS = [{str(mlp_session)!r}]"))
    assert "What tasks share can't be answered from run and two-tap alone (no episode is as long" in text


def test_a_recurrent_network_is_told_from_a_feed_forward_one(lstm_session):
    text = said(executed("timescales", f"SESSION = {str(lstm_session)!r}"))
    assert "The recurrent layers are core.h and core.c" in text
