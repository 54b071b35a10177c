"""The `rodent` command: the one place where animal, brain and laboratory meet. Each command imports what it needs."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import tyro
from tyro.conf import FlagCreatePairsOff, Positional, arg

from rodent.errors import UsageError
from rodent.flags import parse_flags

if TYPE_CHECKING:
    from policies.config import TrainConfig

Config = TypeVar("Config")


@dataclass(frozen=True)
class EvaluateFlags:
    """Measure a policy on a task. The score is the task's own, of the mean action, under the `paper` physics."""

    policy: Positional[str]  # a policy, a run folder, or the name of a shipped policy
    task: str | None = None  # the task (default: the policy's own)
    episodes: int = 20
    seed: int = 0
    simulator: str = "rodent"  # rodent or dm_control
    physics: str = "paper"  # a preset (rodent only)
    threads: int = 0  # worker threads; 0: every core
    sample: bool = False  # sample actions instead of taking their mean
    untrained: int | None = None  # an untrained network of its architecture acts, of this seed
    json: bool = False  # print one JSON object


@dataclass(frozen=True)
class RenderFlags:
    """Film a policy."""

    policy: Positional[str]  # a policy, a run folder, or the name of a shipped policy
    output: Annotated[Path, arg(aliases=["-o"])]  # .mp4, .webm or .gif
    task: str | None = None  # the task (default: the policy's own)
    camera: str = "side"  # side, back, top or egocentric
    seconds: float = 10.0
    seed: int = 0
    episode: int = 0  # which episode of the seed
    physics: str = "paper"
    width: int = 640
    height: int = 480
    fps: float = 25.0  # frames a second, at most 50
    sample: bool = False  # sample actions instead of taking their mean


@dataclass(frozen=True)
class RecordFlags:
    """Record a policy's network, body and senses as one NWB session (docs/recordings.md)."""

    policy: Positional[str]  # a policy, a run folder, or the name of a shipped policy
    output: Annotated[Path, arg(aliases=["-o"])]  # .nwb
    task: tuple[str, ...] = ()  # one or several tasks (default: all that the policy was trained on)
    episodes: int = 25  # of each task
    seed: int = 0
    physics: str = "paper"  # a preset; only what is done under paper is science
    sample: bool = False  # sample actions instead of taking their mean
    steps: int | None = None  # cut episodes after so many control steps (default: at the task's end)
    threads: int = 0  # worker threads; 0: every core
    film: bool = False  # draw each episode, too, into NAME_films beside the session
    spikes: float | None = None  # add synthetic Poisson spikes with this mean rate, Hz
    untrained: int | None = None  # an untrained network of its architecture acts, of this seed; best with --sample


@dataclass(frozen=True)
class AnalyzeFlags:
    """Analyse recorded sessions: tables, figures, result files and a page where film and activity move together."""

    sessions: Positional[tuple[Path, ...]]  # .nwb, as `rodent record` makes them, or the name of a shipped one
    output: Annotated[Path, arg(aliases=["-o"])] = Path("report")  # a folder
    stages: tuple[str, ...] = ()  # stages to run, with what they need (default: the standard set; docs/report.md)
    seed: int = 0  # of all draws
    film: bool = False  # draw the films that the page plays, where the session was recorded without
    clips: bool = False  # film a grid of clips of each behaviour, into clips/SESSION; needs OpenGL
    map_into: Path | None = None  # an earlier report, in whose map of behaviour the sessions are placed
    json: bool = False  # print one JSON object


@dataclass(frozen=True)
class ViewFlags:
    """Watch a policy live, where there is a display."""

    policy: Positional[str]  # a policy, a run folder, or the name of a shipped policy
    task: str | None = None  # the task (default: the policy's own)
    seed: int = 0
    physics: str = "paper"


@dataclass(frozen=True)
class BenchFlags:
    """Measure speed beside the physics limit and dm_control, in one run."""

    task: str = "run"
    physics: str = "paper"
    envs: int = 256
    threads: int = 0  # worker threads; 0: every core
    seconds: float = 20.0  # about how long to measure
    vision: bool = False  # with a picture of each rat's eye at each control step
    json: bool = False  # print one JSON object


@dataclass(frozen=True)
class TasksFlags:
    """List the tasks."""

    json: bool = False  # print one JSON object


@dataclass(frozen=True)
class DoctorFlags:
    """Say what works on this machine, which renderer was chosen, and what to install."""

    json: bool = False  # print one JSON object


@dataclass(frozen=True)
class CurvesFlags:
    """Draw learning curves, with 95 % intervals over the seeds of a run."""

    runs: Positional[tuple[Path, ...]]  # run folders
    output: Annotated[Path, arg(aliases=["-o"])] = Path("curves.png")  # .png, .svg or .csv
    chain: bool = False  # draw before each run those of the same task that led to it (init_from)


@dataclass(frozen=True)
class DiagramFlags:
    """Draw an agent's wiring: what reads what, where gradients stop, and which loss trains what."""

    agent: Positional[str] = "merel2020"  # a policy, a configuration (.yaml), or an agent's name
    output: Annotated[Path, arg(aliases=["-o"])] = Path("diagram.svg")  # .svg


def train(arguments: list[str]) -> None:
    """Train a policy."""
    from policies.config import parse_arguments

    _train(lambda: parse_arguments(arguments))


def _train(read: Callable[[], TrainConfig]) -> None:
    """Train what the first rank reads. A run that was asked to end does so in good order, but exits as if it had died
    of the signal: nothing shall begin with a part of it. Not so under torchrun, which would start its ranks again.
    """
    from policies.distributed import join_ranks, started_by_torchrun
    from policies.stopping import StopRequest
    from policies.training import train as run

    with join_ranks() as ranks:
        config = ranks.first(read)
        with StopRequest(silent=not ranks.writes) as stop:
            for folder in run(config, stop=stop):
                print(folder)
    if stop.signal is not None and not started_by_torchrun():
        sys.exit(128 + stop.signal)


_DISTILLS = (
    "Teach a student, which senses what an animal does, from experts that may sense more: `rodent train` with the "
    "learner `distill` and the tasks of the experts. Everything a run writes goes to its run folder."
)


def distill(arguments: list[str]) -> None:
    """Teach a student from experts."""
    from policies.config import parse_arguments

    def read() -> TrainConfig:
        config = parse_arguments(arguments, "rodent distill", "distill", _DISTILLS)
        if config.learner != "distill":
            raise UsageError(f"a student is taught by learner distill, not {config.learner}: see rodent train --expert")
        return config

    _train(read)


def evaluate(arguments: list[str]) -> None:
    """Measure a policy on a task."""
    flags = _parse(EvaluateFlags, "evaluate", arguments)
    from policies.assessment import assess
    from policies.policy import Policy

    policy = Policy.load(flags.policy)
    if flags.untrained is not None:
        policy = policy.untrained(flags.untrained)
    with _progress_bar("evaluating") as progress:
        report = assess(
            policy,
            policy.task if flags.task is None else flags.task,
            flags.episodes,
            flags.seed,
            flags.physics,
            flags.simulator,
            not flags.sample,
            flags.threads,
            progress,
        )
    if flags.json:
        _print_json({**report, "policy": flags.policy, "untrained_seed": flags.untrained})
        return
    print(f"{report['task']} in {report['simulator']} ({report['physics']} physics), {report['episodes']} episodes:")
    interval = "[{:.1f}, {:.1f}] ".format(*report["ci95"]) if report["ci95"] else ""
    print(f"  return {report['mean_return']:.1f} {interval}of {report['max_return']:.0f}")
    print("  endings " + ", ".join(f"{cause} {count}" for cause, count in report["endings"].items()))
    for name, value in report["measures"].items():
        bounds = report["measures_ci95"].get(name)
        interval = " [{:.3g}, {:.3g}]".format(*bounds) if bounds else ""
        print(f"  {name} " + ("not estimable" if value is None else f"{value:.3g}{interval}"))


def render(arguments: list[str]) -> None:
    """Film a policy."""
    flags = _parse(RenderFlags, "render", arguments)
    from policies.film import film_policy

    with _progress_bar("filming") as progress:
        film_policy(**asdict(flags), progress=lambda done, count: progress(done / count))
    print(flags.output)


def record(arguments: list[str]) -> None:
    """Record a policy's network and body."""
    flags = _parse(RecordFlags, "record", arguments)
    with _needing_lab("recording"):
        from analysis.nwb_record import record as record_session
        from analysis.recording import Session

    with _progress_bar("recording") as progress:
        given = asdict(flags)
        path = record_session(tasks=given.pop("task"), **given, progress=progress)
    with Session(path) as session:
        print(session.description, file=sys.stderr)  # among it what was left out, and why
    print(path)


def analyze(arguments: list[str]) -> None:
    """Analyse recorded sessions and write a report."""
    flags = _parse(AnalyzeFlags, "analyze", arguments)
    with _needing_lab("analysing"):
        from analysis.report.analyze import analyze as analyze_sessions

    with _progress_bar("analysing") as progress:
        given = asdict(flags)
        del given["json"]
        done = analyze_sessions(**given, progress=progress)
    if flags.json:
        _print_json(done)
        return
    for each in done["stages"]:
        how = each["failure"] or ("from the cache" if each["cached"] else f"{each['seconds']:.1f} s")
        print(f"{each['session']:24}{each['stage']:20}{how}")
    print(f"{done['seconds']:.1f} s, at most {done['peak_memory_gib']:.2f} GiB")
    print(done["page"])


def view(arguments: list[str]) -> None:
    """Watch a policy live."""
    flags = _parse(ViewFlags, "view", arguments)
    from policies.film import view_policy

    view_policy(**asdict(flags))


def bench(arguments: list[str]) -> None:
    """Measure speed."""
    flags = _parse(BenchFlags, "bench", arguments)
    from rodent.bench import bench as measure

    with _progress_bar("measuring") as progress:
        report = measure(flags.task, flags.physics, flags.envs, flags.threads, flags.seconds, progress, flags.vision)
    if flags.json:
        _print_json(report)
        return
    print(f"{report['task']}, {report['physics']} physics, {report['envs']} environments, {report['threads']} threads:")
    print(f"  {report['control_steps_per_s']:.0f} control steps/s, {report['physics_steps_per_s']:.0f} physics steps/s")
    print(f"  {report['simulated_s_per_s']:.1f} simulated seconds per second")
    beside = report["dm_control_ratio"]
    print(
        f"  {report['limit_ratio']:.3f} of the limit, "
        + (f"{beside:.2f} times dm_control" if beside else "dm_control cannot draw here")
    )
    print("  time: " + ", ".join(f"{name} {share:.1%}" for name, share in report["phases"].items()))


def tasks(arguments: list[str]) -> None:
    """List the tasks."""
    flags = _parse(TasksFlags, "tasks", arguments)
    from rodent.describe import describe_tasks

    described = describe_tasks()
    if flags.json:
        _print_json(described)
        return
    for name, task in described["tasks"].items():
        print(f"{name}: {task['summary']} (limit {task['time_limit_s']:g} s, highest return {task['max_return']:g})")


def doctor(arguments: list[str]) -> None:
    """Say what works on this machine."""
    flags = _parse(DoctorFlags, "doctor", arguments)
    from rodent.doctor import format_report, report

    found = report()
    if flags.json:
        _print_json(found)
    else:
        print(format_report(found))


def curves(arguments: list[str]) -> None:
    """Draw learning curves."""
    flags = _parse(CurvesFlags, "curves", arguments)
    from policies.curves import draw_curves

    if not flags.runs:
        raise UsageError("no run to draw: give at least one run folder")
    draw_curves(flags.runs, flags.output, flags.chain)
    print(flags.output)


def diagram(arguments: list[str]) -> None:
    """Draw an agent's wiring."""
    flags = _parse(DiagramFlags, "diagram", arguments)
    from policies.diagram import draw_diagram

    draw_diagram(flags.agent, flags.output)
    print(flags.output)


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    command.__name__: command
    for command in (train, distill, evaluate, render, record, analyze, view, bench, tasks, doctor, curves, diagram)
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; see `rodent --help`."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return
    name, *rest = arguments
    if name not in COMMANDS:
        _fail(f"unknown command {name!r}: choose one of {', '.join(COMMANDS)}")
    try:
        _import_simulators()
        COMMANDS[name](rest)
    except UsageError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has gone; there is nobody to tell


def _import_simulators() -> None:
    """Where MUJOCO_GL names an OpenGL that is missing, importing MuJoCo or dm_control raises: import them before it."""
    from rodent.opengl import without_opengl

    if "MUJOCO_GL" in os.environ:
        with without_opengl(even_if_chosen=True):
            importlib.import_module("dm_control.mujoco")


def _usage() -> str:
    lines = [f"  {name:10}{command.__doc__}" for name, command in COMMANDS.items()]
    return "\n".join(["usage: rodent COMMAND [flags]    (rodent COMMAND --help for the flags)", "", *lines])


def _parse(flags: type[Config], command: str, arguments: list[str]) -> Config:
    """Flags of a command as a dataclass."""
    prog = f"rodent {command}"
    parse = partial(tyro.cli, flags, prog=prog, args=arguments, config=(FlagCreatePairsOff,))
    return parse_flags(parse, prog, arguments)


@contextlib.contextmanager
def _needing_lab(doing: str) -> Iterator[None]:
    """Around imports of what the extra `lab` installs."""
    try:
        yield
    except ImportError as error:
        raise UsageError(f"{doing} needs {error.name}: pip install '.[lab]' in the tree of its sources") from None


@contextlib.contextmanager
def _progress_bar(title: str) -> Iterator[Callable[..., None]]:
    """A bar on standard error, with the time left, where that is a terminal.

    It is called with the share that is done, and what is being done where that changes.
    """
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=(console := Console(stderr=True)), disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda share, what=title: bar.update(task, completed=share, description=what)


def _print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2)
    print()


def _fail(message: str) -> NoReturn:
    print(f"rodent: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
