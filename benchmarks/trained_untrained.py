"""Which effects only the trained network has: a table of a policy beside untrained networks of its architecture.

    python benchmarks/trained_untrained.py [--episodes 12] [--output benchmarks/results/trained_untrained.json]

Three things stand beside each other, layer by layer:

- the trained policy, recorded while it acts by its mean actions: each number with its interval and its own nulls;
- fresh networks of the same architecture, driven through the very same episodes from the recorded senses
  (`analysis.untrained`). The trained one is tested against them as a single case against a small sample (Crawford and
  Howell 1998), two-sided, with a false discovery rate over the table;
- untrained policies that act for themselves: fresh weights, the trained one's normalisation of the senses. They sample
  their actions, since the mean of a fresh network moves nothing. What the body does, which networks that are driven
  share with the trained one, is held against these.

An effect is the trained network's alone where it beats its own nulls, with a false discovery rate over the table (of a
row's greatest p), lies outside of the untrained networks, and has an interval that leaves out their mean: networks that
are driven through the same episodes do not tell what other episodes would give, and the interval does.
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
from writing import write_result

from analysis import inference
from analysis.behavioural_features import behavioural_features
from analysis.bouts import bouts
from analysis.clustered import clustered_similarity
from analysis.decoding import decode
from analysis.encoding import encode
from analysis.gait import gait as measure_gait
from analysis.inference import LEVEL, Estimate, not_estimable, q_values
from analysis.information import mutual_information
from analysis.jpca import jpca
from analysis.nwb_record import record
from analysis.populations import dimensions
from analysis.postures import eigenpostures
from analysis.report.behaviour_map import behaviour_map
from analysis.report.findings import mean_over_units
from analysis.report.source import PAWS, TIMESTEP, Source, equal_windows, principal
from analysis.report.stages.chosen import every_other_episode, most_modulated
from analysis.report.stages.families import families
from analysis.report.stages.gait import LASTING, gait
from analysis.report.stages.timescales import median_of_units
from analysis.report.stages.tuning import BINS, variables
from analysis.sequences import sequence
from analysis.task_variance import task_variance
from analysis.timescales import unit_timescales
from analysis.tuning import tuning
from analysis.untrained import untrained_activities
from policies.policy import Policy
from rodent.machine import describe_machine

Key = tuple[str, str]  # measure, layer
BODY = "body"  # what stands in the place of a layer's name
UNITS = 64  # of a layer, at even spacing, whose timescales are fitted
ENCODED = 16  # of a layer, at even ranks of their variance, that features are to explain
STRONGEST = 8  # of a layer, that are asked for their information
_FOOT = PAWS.index("foot L")


@dataclass
class Flags:
    policy: str = "run"
    tasks: tuple[str, ...] = ("run",)
    episodes: int = 12  # of each of them; half of them are dealt where units are chosen in the other half
    steps: int = 250  # control steps an episode
    networks: int = 12  # untrained ones that are driven
    actors: int = 5  # untrained ones that act
    draws: int = 100  # of nulls and intervals; half of it where each costs a fit of many units
    seed: int = 0
    output: Path = Path("benchmarks/results/trained_untrained.json")


@dataclass(frozen=True)
class Body:
    """What layers are compared with."""

    source: Source
    rows: NDArray[np.int64]  # steps that features and dimensions are estimated from
    variables: Mapping[str, NDArray]  # (steps,) each, NaN where it has no meaning
    features: Mapping[str, NDArray]  # families, (rows, components)
    standing: NDArray[np.bool_]  # (steps, 4)
    touch_downs: NDArray[np.int64]  # steps, of the left hind foot

    @classmethod
    def of(cls, source: Source, seed: int) -> "Body":
        rows = source.thinned(1000)
        bands = {
            f"features.{band}": behavioural_features(
                source.series("joint_angles"), source.posture, source.episodes, TIMESTEP, band
            ).values
            for band in ("fast", "slow")
        }
        strides = gait(source, {}, seed).arrays
        known = variables(source, strides["phase"])
        standing, same = strides["standing"], source.episodes[1:] == source.episodes[:-1]
        return cls(
            source,
            rows,
            {name: values for name, values in known.items() if np.isfinite(values).sum() >= 200},
            families(source, bands, rows, 15)[0],
            standing,
            np.flatnonzero(standing[1:, _FOOT] & ~standing[:-1, _FOOT] & same) + 1,
        )


def measures(body: Body, layers: Mapping[str, NDArray], draws: int, seed: int) -> dict[Key, Estimate]:
    """Each measure of each layer."""
    found: dict[Key, Estimate] = {}
    rows, source, few = body.rows, body.source, -(-draws // 2)
    for layer, activity in layers.items():
        told = {
            **of_population(body, activity, draws, few, seed),
            **of_variables(body, activity, draws, few, seed),
            **of_features(body, activity, few, seed),
            **around_touch_downs(body, activity, few, seed),
        }
        if len(source.task_names) > 1:
            groups = task_variance(activity[rows], source.tasks[rows], source.episodes[rows], draws=few, seed=seed)
            told["separation of unit groups by task (silhouette)"] = groups.silhouette
        found |= {(measure, layer): estimate for measure, estimate in told.items()}
    kinematics = {name: values for name, values in body.features.items() if "kinematics" in name}
    protocol = clustered_similarity(
        kinematics, {layer: values[rows] for layer, values in layers.items()}, source.episodes[rows],
        draws=draws, seed=seed, tasks=source.tasks[rows],
    )  # fmt: skip
    return found | {(f"CKA with {name}", layer): each for (name, layer), each in protocol.agreement.items()}


def of_population(body: Body, activity: NDArray, draws: int, few: int, seed: int) -> dict[str, Estimate]:
    """Timescales, dimensions and rotations."""
    source, rows = body.source, body.rows
    shape = dimensions(activity[rows], source.episodes[rows], few, 300, seed)
    scores = principal(activity, 6)[0]
    windows, of = equal_windows(scores, source.episodes, 25, 100, np.random.default_rng(seed))
    return {
        "median timescale (s)": timescale(activity, source, few, seed),
        "concentration (1 / participation ratio)": shape.concentration,
        "rotation (skew R2)": jpca(windows, TIMESTEP, draws=draws, seed=seed, groups=of).skew_r2,
    }


def of_variables(body: Body, activity: NDArray, draws: int, few: int, seed: int) -> dict[str, Estimate]:
    """Tuning, information and decoding of each variable."""
    source, found = body.source, {}
    for name, values in body.variables.items():
        about = source.episodes, source.tasks
        strength = tuning(activity, values, about[0], BINS, draws, seed, about[1]).strength
        found[f"mean tuning to {name}"] = mean_over_units(strength)
        found[f"information about {name} of {STRONGEST} strongly modulated units (nats)"] = informed(
            activity, values, *about, every_other_episode(source), few, seed
        )
        target = np.stack([np.cos(values), np.sin(values)], axis=1) if "(rad)" in name else values[:, None]
        known = np.isfinite(values)
        found[f"decoding of {name}"] = decode({"": activity}, target, about[0], 4, draws, seed, about[1], known)[""]
    return found


def informed(
    activity: NDArray,
    values: NDArray,
    episodes: NDArray,
    tasks: NDArray,
    choosing: NDArray[np.bool_],
    draws: int,
    seed: int,
) -> Estimate:
    """The mean over units that are chosen in some episodes and estimated in the others."""
    if choosing.all() or not choosing.any():
        return not_estimable("one episode of each task: none is left once units are chosen")
    units = most_modulated(activity[choosing], values[choosing], STRONGEST)
    held = np.flatnonzero(~choosing)
    return mean_over_units(
        mutual_information(activity[np.ix_(held, units)], values[held], episodes[held], 1000, draws, seed, tasks[held])
    )


def of_features(body: Body, activity: NDArray, draws: int, seed: int) -> dict[str, Estimate]:
    """What families of features explain of some units, those that vary little among them as those that vary much."""
    rows, source = body.rows, body.source
    order = np.argsort(-activity[rows].var(axis=0), kind="stable")
    some = activity[np.ix_(rows, order[:: -(-len(order) // ENCODED)])]
    found = encode(some, body.features, source.episodes[rows], 4, draws, seed, source.tasks[rows])
    unique = {f"unique variance explained by {name}": mean_over_units(each) for name, each in found.unique.items()}
    return {"variance explained by all families of features": mean_over_units(found.full), **unique}


def around_touch_downs(body: Body, activity: NDArray, draws: int, seed: int) -> dict[str, Estimate]:
    """The order of peaks, and the fall of the variance, around touch-downs of the left hind foot."""
    events = body.touch_downs[:: max(1, -(-len(body.touch_downs) // 150))]
    found = sequence(activity, events, body.source.episodes, 5, 10, draws, seed)
    return {
        "order of peaks around touch-downs (rank correlation)": found.reliability,
        "fall of the variance around touch-downs": found.fall,
    }


def of_bodies(bodies: Sequence[Body], draws: int, seed: int) -> list[dict[Key, Estimate]]:
    """What each body does: its postures, its strides, and how its behaviours, on one map of all, follow each other."""
    drawn = behaviour_map([body.source for body in bodies], seed)
    found = []
    for body in bodies:
        source = body.source
        postures = eigenpostures(
            source.series("joint_angles")[body.rows], source.episodes[body.rows], draws=draws, seed=seed
        )
        speed = source.kinematics["speed (m/s)"]
        strides = measure_gait(body.standing, speed, source.episodes, TIMESTEP, draws, seed, LASTING)
        labels = drawn.arrays.get(f"labels.{source.digest}")
        told = {
            "variance that 15 eigenpostures explain": postures.explained,
            "rank correlation of stride frequency with speed": strides.against_speed["frequency"],
            "coupling of the hind feet (resultant length)": strides.coupling[_FOOT, _FOOT + 1],
            "predictability of the next behaviour (bits)": (
                not_estimable(str(drawn.arrays["reason"]))
                if labels is None
                else bouts(labels, source.episodes, TIMESTEP, draws=draws, seed=seed).predictability
            ),
        }
        found.append({(measure, BODY): estimate for measure, estimate in told.items()})
    return found


def timescale(activity: NDArray, source: Source, draws: int, seed: int) -> Estimate:
    """The median over units, with an interval over them, beside white noise; what never decays is the slowest."""
    some = activity[:, :: -(-activity.shape[1] // UNITS)]
    tau = unit_timescales(some, source.episodes, TIMESTEP, tasks=source.tasks, draws=draws, seed=seed).tau
    return median_of_units(tau.value, tau.null, tau.reasons, seed)


def single_case(value: float, sample: NDArray) -> float:
    """Two-sided p of one value against a small normal sample: a t-test with a group of one (see above)."""
    above = inference.single_case(value, sample)
    return 2 * min(above, 1 - above)


def compared(
    trained: Mapping[Key, Estimate], fresh: Sequence[Mapping[Key, Estimate]], acting: Sequence[Mapping[Key, Estimate]]
) -> list[dict[str, Any]]:
    """A row a measure and layer; numbers are those of the trained network but where the name says otherwise.

    Args:
        trained: its layers and its body.
        fresh: networks that are driven, of layers alone.
        acting: untrained policies; the first has layers, all have bodies.
    """
    order = list(dict.fromkeys(measure for measure, _ in trained))
    keys = [key for key in trained if key in fresh[0] or key[1] == BODY]
    keys.sort(key=lambda key: order.index(key[0]))
    samples = [
        np.array([each[key].value for each in (fresh if key in fresh[0] else acting) if key in each]) for key in keys
    ]
    q = q_values(np.array([single_case(trained[key].value, sample) for key, sample in zip(keys, samples, strict=True)]))
    own = own_q([trained[key] for key in keys])
    others = [(acting[0] if acting else {}).get(key, not_estimable("too few steps of it")) for key in keys]
    rows = []
    for i, (key, other, other_q) in enumerate(zip(keys, others, own_q(others), strict=True)):
        estimate, beats = trained[key], bool(own[i] <= LEVEL)
        rows.append(
            {
                "measure": key[0],
                "layer": key[1],
                "value": estimate.value,
                "interval": estimate.interval,
                "reason": estimate.reason,
                "nulls": {name: [float(np.nanmedian(null)), estimate.p(name)] for name, null in estimate.nulls.items()},
                "own_q": float(own[i]),
                "untrained": samples[i].tolist(),
                "untrained_are": "driven" if key in fresh[0] else "acting",
                "q": float(q[i]),
                "acting": other.value,
                "acting_beats_null": bool(other_q <= LEVEL),
                "verdict": verdict(estimate, samples[i], bool(q[i] <= LEVEL) and apart(estimate, samples[i]), beats),
            }
        )
    return rows


def own_q(estimates: Sequence[Estimate]) -> NDArray:
    """(n,) the greatest p of each against its own nulls, corrected over all of them for a false discovery rate.

    To beat all of its nulls is to have its greatest p small enough (an intersection-union test, Berger 1982).
    """
    return q_values(
        np.array([max(map(each.p, each.nulls)) if each.estimable and each.nulls else np.nan for each in estimates])
    )


def apart(own: Estimate, untrained: NDArray) -> bool:
    """Whether an interval leaves out the mean of the untrained networks."""
    low, high = own.interval
    return bool(np.isfinite(untrained).any()) and not low <= np.nanmean(untrained) <= high


def verdict(own: Estimate, untrained: NDArray, outside: bool, beats: bool) -> str:
    """In words; `outside` of what untrained networks give, as other episodes would have it too, `beats` all nulls."""
    if not own.estimable:
        return "not estimable"
    if not outside:
        return "as untrained" if beats else "not beyond its null"
    if own.value > np.nanmean(untrained):
        return "more when trained" if beats else "not beyond its null"
    return "less when trained" if beats else "less, and not beyond its null"


def as_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown, as docs/trained_untrained.md has it."""
    lines = [
        "| measure | layer | trained | its null, p; q over the table | untrained networks | q | untrained, acting | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        digits = 3 if row["measure"].endswith("(s)") else 2

        def told(*values: float, digits: int = digits) -> str:
            return " to ".join(f"{value:.{digits}f}" for value in values)

        own, against = f"not estimable: {row['reason']}", "-"
        if not row["reason"]:
            own = f"{told(row['value'])}, {told(*row['interval'])}"
            nulls = "; ".join(f"{told(median)}, {p:.3f}" for median, p in row["nulls"].values())
            against = f"{nulls}; {row['own_q']:.3f}"
        sample = np.array(row["untrained"])[np.isfinite(row["untrained"])]
        others = f"{told(sample.mean())}, {told(sample.min(), sample.max())}" if len(sample) else "not estimable"
        q = "-" if row["reason"] else f"{row['q']:.3f}"
        acting = "not estimable"
        if np.isfinite(row["acting"]):
            acting = f"{told(row['acting'])}{'' if row['acting_beats_null'] else ' (as its null)'}"
        lines.append(
            f"| {row['measure']} | {row['layer']} | {own} | {against} | {others} | {q} | {acting} | {row['verdict']} |"
        )
    return "\n".join(lines)


def recorded(flags: Flags, folder: Path) -> list[Source]:
    """Sessions of the trained policy and then of the untrained ones that act."""
    policy = Policy.load(flags.policy)
    actors = [(policy, False)] + [(policy.untrained(flags.seed + i), True) for i in range(flags.actors)]
    return [
        Source(
            record(
                actor, folder / f"{i}.nwb", flags.tasks, flags.episodes, flags.seed,
                sample=sample, steps=flags.steps, threads=1,
            )
        )
        for i, (actor, sample) in enumerate(actors)
    ]  # fmt: skip


def main(flags: Flags) -> None:
    start = time.perf_counter()

    def tell(what: str) -> None:
        print(f"{time.perf_counter() - start:5.0f} s: {what}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        sources = recorded(flags, Path(folder))
        tell("recorded")
        bodies = [Body.of(source, flags.seed) for source in sources]
        found = of_bodies(bodies, flags.draws, flags.seed)
        tell("bodies measured")
        for body, mine in zip(bodies[:2], found, strict=False):
            layers = {layer: body.source.layer(layer) for layer in body.source.layers if layer != "policy.mean"}
            mine |= measures(body, layers, flags.draws, flags.seed)
        tell("layers measured")
        every = np.arange(len(sources[0].episodes))
        driven = untrained_activities(sources[0].session, every, range(flags.seed, flags.seed + flags.networks))
        fresh = [measures(bodies[0], layers, 1, flags.seed) for layers in driven]
        tell(f"{flags.networks} fresh networks driven and measured")
        for source in sources:
            source.close()
    rows = compared(found[0], fresh, found[1:])
    settings = {name: value for name, value in vars(flags).items() if name != "output"}
    result = {"flags": settings, "seconds": round(time.perf_counter() - start, 1), "machine": describe_machine()}
    write_result(flags.output, result | {"rows": rows})
    print(as_table(rows))


if __name__ == "__main__":
    main(tyro.cli(Flags))
