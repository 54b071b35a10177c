"""The agent's diagram is what the agent does."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from policies.agent import Agent
from policies.cells import CELLS
from policies.diagram import draw_diagram, find_agent_to_draw, to_svg
from policies.lstm import LSTMSettings
from policies.merel2020 import Merel2020Agent, Merel2020Settings
from policies.mlp import MLPSettings
from policies.policy import Policy
from policies.registry import make_agent
from policies.wiring import Wiring, read_wiring
from rodent.errors import UsageError

ROOT = Path(__file__).parents[2]


def merel(sees: bool = True, critic_size: int = 0, tasks: int = 1, **changes: Any) -> Agent:
    settings = Merel2020Settings(**({"channels": (4,), "policy": (6, 5)} | changes))
    return Merel2020Agent(5, 2, settings, critic_size, (8, 8, 3) if sees else None, tasks)


def reads(wiring: Wiring, target: str) -> set[str]:
    return {edge.source for edge in wiring.edges if edge.target == target}


def stops(wiring: Wiring) -> set[tuple[str, str]]:
    return {(edge.source, edge.target) for edge in wiring.edges if edge.stopped}


def trained(wiring: Wiring) -> dict[str, str]:
    return {node.name: " and ".join(node.trained_by) for node in wiring.nodes if node.trained_by}


@pytest.mark.parametrize(
    ("what", "file"),
    [("merel2020", "merel2020.svg"), ("assets/configs/merel2020-large.yaml", "merel2020-large.svg")],
)
def test_the_diagrams_of_the_docs_are_those_that_the_code_draws(what: str, file: str, tmp_path: Path) -> None:
    draw_diagram(str(ROOT / what) if "/" in what else what, tmp_path / file)
    assert (tmp_path / file).read_text() == (ROOT / "docs" / file).read_text()
    assert file in (ROOT / "docs" / "agents.md").read_text()


def test_a_configuration_is_drawn_with_the_senses_of_its_run() -> None:
    configs = ROOT / "assets" / "configs"
    blind = find_agent_to_draw(str(configs / "run-merel2020.yaml"))
    assert "picture" not in {node.name for node in read_wiring(blind).nodes}
    student = find_agent_to_draw(str(configs / "student-shadows.yaml"))
    shipped = Policy.load("student").agent
    assert {name: w.shape for name, w in student.state_dict().items()} == {
        name: w.shape for name, w in shipped.state_dict().items()
    }


def test_the_papers_wiring_is_read_off_the_agent() -> None:
    wiring = read_wiring(merel())
    assert reads(wiring, "senses") == {"observation"} and reads(wiring, "vision") == {"picture"}
    assert reads(wiring, "core") == {"vision", "proprioception"}
    assert reads(wiring, "policy.0") == {"senses", "vision", "proprioception", "core_to_policy"}
    assert reads(wiring, "policy.1") == {"policy.0", "senses", "vision", "proprioception", "core_to_policy"}
    assert reads(wiring, "mean") == {"policy.0", "policy.1"}
    assert (reads(wiring, "critic"), reads(wiring, "value")) == ({"core"}, {"critic"})
    assert stops(wiring) == {("core", "core_to_policy")}
    assert trained(wiring) == {
        "vision": "policy and value", "proprioception": "policy and value", "core": "value", "critic": "value",
        "value": "value", "policy.0": "policy", "policy.1": "policy", "mean": "policy",
    }  # fmt: skip
    assert {node.name for node in wiring.nodes if node.recurrent} == {"core", "policy.0", "policy.1"}


def test_other_wirings_show_as_what_they_are() -> None:
    assert reads(read_wiring(merel(skip=False)), "policy.1") == {"policy.0"}
    assert reads(read_wiring(merel(skip=False)), "mean") == {"policy.1"}
    assert stops(read_wiring(merel(wiring="shared"))) == set()
    assert trained(read_wiring(merel(wiring="shared")))["core"] == "policy and value"
    turned = read_wiring(merel(wiring="value-reads-policy"))
    assert reads(turned, "core") == {"policy_to_core"} and "core" not in reads(turned, "policy.0")
    assert stops(turned) == {("policy.0", "policy_to_core"), ("policy.1", "policy_to_core")}
    apart = read_wiring(merel(encoders="value", policy=(6,)))
    assert {("vision", "policy.0"), ("proprioception", "policy.0")} < stops(apart)
    assert trained(apart)["vision"] == "value"
    assert "vision" not in {node.name for node in read_wiring(merel(sees=False)).nodes}
    assert reads(read_wiring(merel(critic_size=3)), "critic") == {"core", "observation"}


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_is_told_by_its_name_and_whether_it_remembers(cell: str) -> None:
    core = next(node for node in read_wiring(merel(cell=cell)).nodes if node.name == "core")
    assert core.detail == f"{CELLS[cell].__name__.removesuffix('Cell')}, 128"
    assert core.recurrent == bool(CELLS[cell].PARTS)


@pytest.mark.parametrize(
    "agent",
    [
        merel(tasks=3),
        make_agent("lstm", 5, 2, LSTMSettings(), 3),
        make_agent("mlp", 5, 2, MLPSettings(symmetric=True)),
    ],
    ids=["merel2020", "lstm", "mlp"],
)
def test_any_agent_is_drawn_in_boxes_that_do_not_overlap(agent: Agent) -> None:
    wiring = read_wiring(agent)
    drawing = ElementTree.fromstring(to_svg(wiring))
    boxes = [element.attrib for element in drawing.iter() if element.tag.endswith("rect") and "rx" in element.attrib]
    assert len(boxes) == len(wiring.nodes)
    corners = [tuple(float(box[name]) for name in ("x", "y", "width", "height")) for box in boxes]
    for i, (x, y, width, height) in enumerate(corners):
        for left, top, _, _ in corners[:i]:
            assert abs(x - left) >= width or abs(y - top) >= height
    words = {element.text for element in drawing.iter() if element.tag.endswith("text")}
    assert {node.name for node in wiring.nodes} < words
    assert f"{agent.tasks} numbers, one a task" in words or agent.tasks == 1


def test_looking_at_an_agent_leaves_it_as_it_is(tmp_path: Path) -> None:
    agent = merel()
    before = {name: value.clone() for name, value in agent.state_dict().items()}
    read_wiring(agent)
    assert all(value.equal(before[name]) for name, value in agent.state_dict().items())
    assert all(parameter.grad is None for parameter in agent.parameters())
    draw_diagram("run", tmp_path / "run.svg")
    assert "mirror.actor" in (tmp_path / "run.svg").read_text()


def test_what_cannot_be_drawn_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"its name must end in \.svg"):
        draw_diagram("mlp", tmp_path / "mlp.png")
    with pytest.raises(UsageError, match="no policy at brain"):
        draw_diagram("brain", tmp_path / "brain.svg")
