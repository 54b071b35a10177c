"""An agent's diagram, drawn from its wiring: as SVG, in columns from what it senses to what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

import torch

from policies.agent import Agent
from policies.config import TrainConfig, load_yaml
from policies.multitask import share_space
from policies.observation import ObservationSpec
from policies.policy import Policy
from policies.registry import AGENTS, make_agent_for
from policies.storage import write_atomically
from policies.wiring import Edge, Node, Wiring, read_wiring
from rodent.env import RodentVectorEnv
from rodent.errors import UsageError
from rodent.vision import PICTURE, SIZE

_WIDTH, _HEIGHT = 164, 50  # of a box
_COLUMN, _LANE, _BOX_ROW = 232, 26, 78  # from column to column; of a line that passes a column; of a box and its gap
_MARGIN, _LEGEND = 30, 56
_SWEEPS = 12
_FILLS = {"value": "#cfe3f6", "policy": "#fbdcc0", "both": "url(#both)", "none": "#eeeeee"}
_TITLES = {
    "both": "trained by both losses", "value": "by the value's loss", "policy": "by the policy's loss",
    "none": "has no weights",
}  # fmt: skip


def draw_diagram(what: str, output: Path) -> None:
    """Draw an agent to a file.

    Args:
        what: a policy, a configuration (`.yaml`), or the name of an agent, which is drawn at its default sizes, with
            the senses of `run` and, if it can see, a picture.
        output: `.svg`.

    Raises:
        UsageError: there is no such thing, or the output cannot be written.
    """
    if output.suffix != ".svg":
        raise UsageError(f"cannot draw a diagram to {output}: its name must end in .svg")
    agent = find_agent_to_draw(what)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(output, to_svg(read_wiring(agent)))
    except OSError as error:
        raise UsageError(f"cannot draw a diagram to {output}: {error.strerror or error}") from None


def find_agent_to_draw(what: str) -> Agent:
    """See `draw_diagram`."""
    if what.endswith(".yaml"):
        return _make(load_yaml(Path(what)))
    if what in AGENTS:
        return _make(TrainConfig(agent=what, vision=AGENTS[what].sees))
    return Policy.load(what).agent.requires_grad_(True)  # so that it shows what would train it


def _make(config: TrainConfig) -> Agent:
    told = config.privileged or config.privileged_critic
    envs = {task: RodentVectorEnv(task, 1, privileged=told) for task in config.task}
    spaces = {task: env.single_observation_space for task, env in envs.items()}
    env, space = envs[config.task[0]], spaces[config.task[0]]
    if len(spaces) > 1:
        space = share_space(spaces)
    senses = ObservationSpec.of(space, config.privileged_critic, config.privileged)
    if config.vision:
        senses = replace(senses, picture=(PICTURE, (SIZE, SIZE, 3)))
    with torch.random.fork_rng():
        return make_agent_for(senses, config.agent, len(env.body.actuators), config.agent_settings, len(config.task))


@dataclass
class _Item:
    """A box, or a source's line where it passes a column."""

    source: str
    column: int
    is_box: bool
    y: float = 0.0

    @property
    def left(self) -> float:
        return _MARGIN + self.column * _COLUMN

    @property
    def right(self) -> float:
        return self.left + _WIDTH


def to_svg(wiring: Wiring) -> str:
    """The diagram. The same wiring gives the same text."""
    columns = _arrange(wiring)
    items = [item for column in columns for item in column]
    boxes = {item.source: item for item in items if item.is_box}
    width = 2 * _MARGIN + (len(columns) - 1) * _COLUMN + _WIDTH
    height = max(item.y for item in items) + _HEIGHT / 2 + _MARGIN + _LEGEND
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" font-family="sans-serif">',
        "<defs>",
        '<linearGradient id="both"><stop offset="0.5" stop-color="#cfe3f6"/><stop offset="0.5" stop-color="#fbdcc0"/>'
        "</linearGradient>",
        '<marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#555"/></marker>',
        "</defs>",
        f'<rect width="{width:g}" height="{height:g}" fill="white"/>',
    ]
    lines += [_line(item) for item in items if not item.is_box]
    lines += _branches(wiring.edges, columns, boxes)
    for node in wiring.nodes:
        lines += _box(node, boxes[node.name])
    lines += _legend(height - _LEGEND)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _arrange(wiring: Wiring) -> list[list[_Item]]:
    """Columns of items with their heights: each box stands left of what reads it, lines cross as little as can be."""
    column = _columns(wiring)
    ends = {node.name: column[node.name] for node in wiring.nodes}
    for edge in wiring.edges:
        ends[edge.source] = max(ends[edge.source], column[edge.target] - 1)
    columns: list[list[_Item]] = [[] for _ in range(max(column.values()) + 1)]
    for node in wiring.nodes:
        for place in range(column[node.name], ends[node.name] + 1):
            columns[place].append(_Item(node.name, place, place == column[node.name]))
    readers = {edge.target: [e.source for e in wiring.edges if e.target == edge.target] for edge in wiring.edges}
    for _ in range(_SWEEPS):
        for before, after in pairwise(columns):
            _sort(after, before, lambda item: readers.get(item.source, []) if item.is_box else [item.source])
        for after, before in pairwise(reversed(columns)):
            _sort(before, after, lambda item: [item.source, *(t for t, s in readers.items() if item.source in s)])
    tallest = max(sum(_rows(column)) for column in columns)
    for items in columns:
        rows = _rows(items)
        top = _MARGIN + (tallest - sum(rows)) / 2
        for i, item in enumerate(items):
            item.y = top + sum(rows[:i]) + rows[i] / 2
    return columns


def _columns(wiring: Wiring) -> dict[str, int]:
    """The column of each node: as far to the right as what reads it allows."""
    targets = {node.name: [e.target for e in wiring.edges if e.source == node.name] for node in wiring.nodes}
    depth: dict[str, int] = {}
    for node in wiring.nodes:
        depth[node.name] = max((depth[e.source] + 1 for e in wiring.edges if e.target == node.name), default=0)
    for node in reversed(wiring.nodes):
        depth[node.name] = min((depth[t] - 1 for t in targets[node.name]), default=depth[node.name])
    return depth


def _sort(items: list[_Item], beside: list[_Item], neighbours: Callable[[_Item], list[str]]) -> None:
    """Order a column by where its items' neighbours stand in the column beside it."""
    places = {item.source: i for i, item in enumerate(beside)}
    own = {item.source: i for i, item in enumerate(items)}

    def barycentre(item: _Item) -> float:
        found = [places[name] for name in neighbours(item) if name in places]
        return sum(found) / len(found) if found else own[item.source] * len(beside) / len(own)

    items.sort(key=barycentre)


def _rows(items: list[_Item]) -> list[float]:
    return [_BOX_ROW if item.is_box else _LANE for item in items]


def _line(item: _Item) -> str:
    return f'<path d="M{item.left:g} {item.y:g}H{item.right:g}" stroke="#555" fill="none"/>'


def _branches(edges: tuple[Edge, ...], columns: list[list[_Item]], boxes: dict[str, _Item]) -> list[str]:
    """Curves from each column to the next: to boxes, with a tip, and on to lines that pass."""
    lines = []
    for before, after in pairwise(columns):
        starts = {item.source: item for item in before}
        for item in after:
            if not item.is_box:
                lines.append(_curve(starts[item.source], item.left, item.y))
                continue
            arriving = sorted((starts[e.source].y, e.source, e.stopped) for e in edges if boxes[e.target] is item)
            for i, (_, source, stopped) in enumerate(arriving):
                y = item.y + (i - (len(arriving) - 1) / 2) * _HEIGHT / (len(arriving) + 1)
                lines.append(_curve(starts[source], item.left, y, tip=True, stopped=stopped))
                if stopped:
                    x, middle = (starts[source].right + item.left) / 2, (starts[source].y + y) / 2
                    lines.append(_text(x, middle - 16, "stop-gradient", 10, "#b3261e"))
    return lines


def _curve(start: _Item, x: float, y: float, tip: bool = False, stopped: bool = False) -> str:
    bend = (x - start.right) / 2
    style = 'stroke="#b3261e" stroke-dasharray="5 3"' if stopped else 'stroke="#555"'
    arrow = ' marker-end="url(#tip)"' if tip else ""
    path = f"M{start.right:g} {start.y:g}C{start.right + bend:g} {start.y:g} {x - bend:g} {y:g} {x:g} {y:g}"
    return f'<path d="{path}" fill="none" {style}{arrow}/>'


def _box(node: Node, item: _Item) -> list[str]:
    trained = node.trained_by
    fill = _FILLS["both" if len(trained) == 2 else trained[0] if trained else "none"]
    top, middle = item.y - _HEIGHT / 2, item.left + _WIDTH / 2
    lines = [
        f'<rect x="{item.left:g}" y="{top:g}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="{fill}" stroke="#555"/>',
        _text(middle, item.y - 4, node.name, 14),
        _text(middle, item.y + 14, node.detail, 10),
    ]
    if node.recurrent:
        up = top - 22
        path = f"M{middle + 22:g} {top:g}C{middle + 30:g} {up:g} {middle - 30:g} {up:g} {middle - 22:g} {top:g}"
        lines.append(f'<path d="{path}" fill="none" stroke="#555" marker-end="url(#tip)"/>')
    return lines


def _legend(y: float) -> list[str]:
    lines = []
    for i, (kind, title) in enumerate(_TITLES.items()):
        x = _MARGIN + i * 190
        lines.append(f'<rect x="{x}" y="{y:g}" width="16" height="16" fill="{_FILLS[kind]}" stroke="#555"/>')
        lines.append(_text(x + 24, y + 12, title, 12, anchor="start"))
    return lines


def _text(x: float, y: float, words: str, size: int, colour: str = "#222", anchor: str = "middle") -> str:
    style = f'font-size="{size}" text-anchor="{anchor}" fill="{colour}"'
    return f'<text x="{x:g}" y="{y:g}" {style}>{escape(words)}</text>'
