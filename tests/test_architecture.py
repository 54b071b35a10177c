"""Rules of the design that a test can hold."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = {"rodent": set(), "policies": {"rodent"}, "analysis": {"rodent", "policies"}}
COMPOSITION_ROOT = ROOT / "rodent" / "cli.py"
# Inside `rodent`, each knows only what stands before it.
ORDER = [
    "errors", "seeds", "flags", "opengl", "registration", "__init__", "body", "physics", "arenas", "engine", "senses",
    "relief", "ways", "tasks/parameters", "tasks/base", "tasks/run", "tasks/run_gaps", "tasks/escape_bowl",
    "tasks/two_tap", "tasks/maze_forage", "tasks/__init__", "aids", "symmetry",
    "cameras", "painting", "ruler", "gl_painter", "warp_painter", "rendering", "scenes",
    "pool", "randomisation", "vision", "env", "dm_control_env",
    "measures", "machine", "stopwatch", "describe", "bench", "video", "viewer", "doctor", "cli", "__main__",
]  # fmt: skip


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_arrows_between_rooms_run_one_way(room):
    for path in modules(room):
        if path == COMPOSITION_ROOT:
            continue
        foreign = {name.split(".")[0] for name in imports(path)} & (ROOMS.keys() - {room})
        assert foreign <= ROOMS[room], f"{path.relative_to(ROOT)} imports {foreign}"


def test_inside_rodent_each_module_knows_only_what_stands_before_it():
    names = [str(path.relative_to(ROOT / "rodent").with_suffix("")) for path in modules("rodent")]
    assert sorted(names) == sorted(ORDER)
    position = {f"rodent.{name}".replace("/", ".").removesuffix(".__init__"): i for i, name in enumerate(ORDER)}
    for name, path in zip(names, modules("rodent"), strict=True):
        for imported in imports(path) & position.keys() - {"rodent"}:
            assert position[imported] < ORDER.index(name), f"{name} imports {imported}"


def test_loading_never_unpickles():
    for room in ROOMS:
        for path in modules(room):
            tree = ast.parse(path.read_text())
            calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
            assert not calls & {"torch.load", "pickle.load", "pickle.loads"}, path
            assert "allow_pickle=True" not in path.read_text(), path
            assert "pickle" not in imports(path), path


PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "assets").rglob("*.md")]


@pytest.mark.parametrize("page", sorted(str(page.relative_to(ROOT)) for page in PAGES))
def test_every_relative_link_of_a_page_leads_somewhere(page):
    text = (ROOT / page).read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    for link in links:
        assert (ROOT / page).parent.joinpath(link).exists(), link
