"""Which effects only the trained network has: a table of a policy beside untrained networks of its architecture.

    python benchmarks/trained_untrained.py [--episodes 8] [--output benchmarks/results/trained_untrained.json]

Three things stand beside each other, layer by layer:

- the trained policy, recorded while it acts by its mean actions: each number with its interval and its own null;
- fresh networks of the same architecture, driven through the very same episodes from the recorded senses
  (`analysis.untrained`). The trained one is tested against them as a single case against a small sample (Crawford and
  Howell 1998), two-sided, with a false discovery rate over the table;
- one untrained policy that acts for itself: fresh weights, the trained one's normalisation of the senses. It samples
  its actions, since the mean of a fresh network moves nothing.

An effect is the trained network's alone where it beats its own nulls and lies outside of the fresh networks.
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from numpy.typing import NDArray
from scipy import stats
from writing import write_result

from analysis.behavioural_features import behavioural_features
from analysis.decoding import decode
from analysis.inference import LEVEL, Estimate, not_estimable, percentile_interval, q_values
from analysis.jpca import jpca
from analysis.nwb_record import record
from analysis.populations import dimensions
from analysis.report.findings import mean_over_units
from analysis.report.source import TIMESTEP, Source, equal_windows, principal, reduced
from analysis.report.stages.families import families
from analysis.report.stages.gait import gait
from analysis.report.stages.tuning import BINS, variables
from analysis.similarity import clustered_similarity
from analysis.timescales import unit_timescales
from analysis.tuning import tuning
from analysis.untrained import untrained_activity
from policies.policy import Policy
from rodent.machine import describe_machine

Key = tuple[str, str]  # measure, layer
UNITS = 64  # of a layer, at even spacing, whose timescales are fitted


@dataclass
class Flags:
    policy: str = "run"
    task: str = "run"
    episodes: int = 8
    steps: int = 250  # control steps an episode
    networks: int = 12  # untrained ones that are driven
    draws: int = 100  # of nulls and intervals; a fifth of it where each costs a fit
    seed: int = 0
    output: Path = Path("benchmarks/results/trained_untrained.json")


@dataclass(frozen=True)
class Body:
    """What layers are compared with."""

    source: Source
    rows: NDArray[np.int64]  # steps that features and dimensions are estimated from
    variables: Mapping[str, NDArray]  # (steps,) each, NaN where it has no meaning
    kinematics: Mapping[str, NDArray]  # fast and slow, (rows, components)

    @classmethod
    def of(cls, source: Source, seed: int) -> "Body":
        rows = source.thinned(1000)
        bands = {
            f"features.{band}": behavioural_features(
                source.series("joint_angles"), source.posture, source.episodes, TIMESTEP, band
            ).values
            for band in ("fast", "slow")
        }
        features, _ = families(source, bands, rows, 15)
        known = variables(source, gait(source, {}, seed).arrays["phase"])
        return cls(
            source,
            rows,
            {name: values for name, values in known.items() if np.isfinite(values).sum() >= 200},
            {name: values for name, values in features.items() if "kinematics" in name},
        )


def measures(body: Body, layers: Mapping[str, NDArray], draws: int, seed: int) -> dict[Key, Estimate]:
    """Each measure of each layer."""
    found: dict[Key, Estimate] = {}
    source, rows, few = body.source, body.rows, -(-draws // 5)
    for layer, activity in layers.items():
        found["median timescale (s)", layer] = timescale(activity, source, few, seed)
        shape = dimensions(activity[rows], source.episodes[rows], few, 300, seed)
        found["concentration (1 / participation ratio)", layer] = shape.concentration
        scores = principal(activity, 6)[0]
        windows, of = equal_windows(scores, source.episodes, 25, 100, np.random.default_rng(seed))
        found["rotation (skew R2)", layer] = jpca(windows, TIMESTEP, draws=draws, seed=seed, groups=of).skew_r2
        for name, values in body.variables.items():
            known = np.flatnonzero(np.isfinite(values))
            about = source.episodes[known], source.tasks[known]
            strength = tuning(activity[known], values[known], about[0], BINS, draws, seed, about[1]).strength
            found[f"mean tuning to {name}", layer] = mean_over_units(strength)
            target = np.stack([np.cos(values), np.sin(values)], axis=1) if "(rad)" in name else values[:, None]
            told = decode({layer: reduced(activity, 16)[known]}, target[known], about[0], 4, few, seed, about[1])
            found[f"decoding of {name}", layer] = told[layer]
    protocol = clustered_similarity(
        body.kinematics, {layer: values[rows] for layer, values in layers.items()}, source.episodes[rows],
        draws=draws, seed=seed, tasks=source.tasks[rows],
    )  # fmt: skip
    return found | {(f"CKA with {name}", layer): each for (name, layer), each in protocol.agreement.items()}


def timescale(activity: NDArray, source: Source, draws: int, seed: int) -> Estimate:
    """The median over units, with an interval over them, beside white noise."""
    some = activity[:, :: -(-activity.shape[1] // UNITS)]
    tau = unit_timescales(some, source.episodes, TIMESTEP, draws=draws, seed=seed).tau
    known = np.isfinite(tau.value)
    if not known.any():
        return not_estimable(next(filter(None, tau.reasons), "no unit is estimable"))
    values = tau.value[known]
    low, high = percentile_interval(np.median(np.random.default_rng(seed).choice(values, (500, len(values))), axis=1))
    return Estimate(
        float(np.median(values)), {tau.control: np.nanmedian(tau.null[:, known], axis=1)}, (float(low), float(high))
    )


def single_case(value: float, sample: NDArray) -> float:
    """Two-sided p of one value against a small normal sample: a t-test with a group of one (see above)."""
    sample = sample[np.isfinite(sample)]
    return float(stats.ttest_ind([value], sample).pvalue) if len(sample) > 2 and sample.std() > 0 else float("nan")


def compared(
    trained: Mapping[Key, Estimate], fresh: Sequence[Mapping[Key, Estimate]], acting: Mapping[Key, Estimate]
) -> list[dict[str, Any]]:
    """A row a measure and layer; numbers are those of the trained network but where the name says otherwise."""
    order = list(dict.fromkeys(measure for measure, _ in trained))
    keys = sorted((key for key in trained if key in fresh[0]), key=lambda key: order.index(key[0]))
    samples = [np.array([each[key].value for each in fresh]) for key in keys]
    q = q_values(np.array([single_case(trained[key].value, sample) for key, sample in zip(keys, samples, strict=True)]))
    rows = []
    for i, key in enumerate(keys):
        own, other = trained[key], acting.get(key, not_estimable("too few steps of it"))
        rows.append(
            {
                "measure": key[0],
                "layer": key[1],
                "value": own.value,
                "interval": own.interval,
                "nulls": {name: [float(np.nanmedian(null)), own.p(name)] for name, null in own.nulls.items()},
                "fresh": samples[i].tolist(),
                "q": float(q[i]),
                "acting": other.value,
                "acting_beats_null": beats(other),
                "verdict": verdict(own, samples[i], bool(q[i] <= LEVEL)),
            }
        )
    return rows


def beats(estimate: Estimate) -> bool:
    """Whether it beats all of its nulls."""
    return estimate.estimable and len(estimate.beat) == len(estimate.nulls)


def verdict(own: Estimate, fresh: NDArray, outside: bool) -> str:
    """In words; `outside`: of what fresh networks give."""
    if not own.estimable:
        return "not estimable"
    if not outside:
        return "as untrained" if beats(own) else "not beyond its null"
    if own.value > np.nanmean(fresh):
        return "more when trained" if beats(own) else "not beyond its null"
    return "less when trained" if beats(own) else "less, and not beyond its null"


def as_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown, as docs/trained_untrained.md has it."""
    lines = [
        "| measure | layer | trained | its null, p | fresh networks, driven | q | untrained, acting | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        digits = 3 if row["measure"].endswith("(s)") else 2

        def told(*values: float, digits: int = digits) -> str:
            return " to ".join(f"{value:.{digits}f}" for value in values)

        nulls = "; ".join(f"{told(median)}, {p:.3f}" for median, p in row["nulls"].values())
        fresh = f"{told(np.nanmean(row['fresh']))}, {told(np.nanmin(row['fresh']), np.nanmax(row['fresh']))}"
        acting = f"{told(row['acting'])}{'' if row['acting_beats_null'] else ' (as its null)'}"
        lines.append(
            f"| {row['measure']} | {row['layer']} | {told(row['value'])}, {told(*row['interval'])} | {nulls} | {fresh} "
            f"| {row['q']:.3f} | {acting if np.isfinite(row['acting']) else 'not estimable'} | {row['verdict']} |"
        )
    return "\n".join(lines)


def recorded(flags: Flags, folder: Path) -> dict[str, Source]:
    """Sessions of the trained policy and of an untrained one."""
    policy = Policy.load(flags.policy)
    actors = {"trained": (policy, False), "untrained": (policy.untrained(flags.seed), True)}
    return {
        name: Source(
            record(
                actor, folder / f"{name}.nwb", [flags.task], flags.episodes, flags.seed,
                sample=sample, steps=flags.steps, threads=1,
            )
        )
        for name, (actor, sample) in actors.items()
    }  # fmt: skip


def main(flags: Flags) -> None:
    start = time.perf_counter()

    def tell(what: str) -> None:
        print(f"{time.perf_counter() - start:5.0f} s: {what}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        sources = recorded(flags, Path(folder))
        tell("recorded")
        bodies = {name: Body.of(source, flags.seed) for name, source in sources.items()}
        found = {}
        for name, source in sources.items():
            layers = {layer: source.layer(layer) for layer in source.layers if layer != "policy.mean"}
            found[name] = measures(bodies[name], layers, flags.draws, flags.seed)
            tell(f"{name} policy measured")
        fresh, every = [], np.arange(len(sources["trained"].episodes))
        for seed in range(flags.networks):
            driven = untrained_activity(sources["trained"].session, every, seed)
            fresh.append(measures(bodies["trained"], driven, 1, flags.seed))
        tell(f"{flags.networks} fresh networks driven and measured")
        for source in sources.values():
            source.close()
    rows = compared(found["trained"], fresh, found["untrained"])
    settings = {name: value for name, value in vars(flags).items() if name != "output"}
    result = {"flags": settings, "seconds": round(time.perf_counter() - start, 1), "machine": describe_machine()}
    write_result(flags.output, result | {"rows": rows})
    print(as_table(rows))


if __name__ == "__main__":
    main(tyro.cli(Flags))
