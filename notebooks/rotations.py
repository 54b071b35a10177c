# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Rotations in core and policy
#
# **Question.** Does the state of each layer turn in a plane, as motor cortex does while an arm reaches, how fast,
# and is that more than the gait itself turning? Merel et al. (2020) report rotations everywhere, slower in the core
# than in the policy.
#
# **Method.** jPCA (Churchland et al. 2012) fits a skew-symmetric linear system to the six leading principal
# components, over windows of half a second. *Skew R2* is the variance of the state's velocity that such rotations
# alone explain (`analysis.jpca`); windows begin at fixed times, not at an event, so that no rhythm is taken away
# with their mean. Planes come from the fastest to the slowest, each with its share of the variance of the six
# components. Whether those of the policy turn faster than the core's is asked of the difference of their frequencies,
# over the same episodes of both (`analysis.paired`).
#
# **Controls.** Surrogates of maximum entropy with the same covariances over windows, steps and components (Elsayed
# and Cunningham 2017); each component's paths dealt to other windows, which breaks the phase between components;
# the senses and the joints, from which rotations may be inherited; and untrained networks driven through the same
# episodes, one beside each number and all of them beside each difference, whose other control swaps the two layers in
# whole episodes.

# %% tags=["parameters"]
SESSION = "run"  # a file that `rodent record` made, or the name of a shipped session
COMPONENTS = 6  # principal components
WINDOW, WINDOWS = 25, 60  # steps of a window, and how many at most
DRAWS = 40  # of each surrogate, and of the interval
NETWORKS = 5  # untrained ones
SEED = 0

# %%
from dataclasses import replace
from itertools import product

import numpy as np
from driven import untrained_networks
from matplotlib.figure import Figure
from numpy.typing import NDArray
from showing import beyond, listed, say, show, table, told

from analysis.jpca import JPCA, frequencies_without, jpca, plot_jpca
from analysis.paired import SWAPPED, paired_difference
from analysis.report.findings import UNTRAINED, Finding
from analysis.report.source import TIMESTEP, Source, equal_windows, principal
from analysis.report.stages.gait import gait

source = Source(SESSION)
spread = source.senses.std(axis=0)
populations = {name: source.layer(name) for name in source.layers}
populations["senses"] = source.senses / np.where(spread > 0, spread, 1.0)  # they come in all kinds of units
populations["joint angles"] = source.series("joint_angles")
networks = untrained_networks(source, SEED, NETWORKS)
untrained = {f"untrained {name}": values for name, values in (networks[0] if networks else {}).items()}


# %%
def windowed(values: NDArray, rows: NDArray) -> tuple[NDArray, NDArray]:
    """Principal components in windows of some of the steps, and the episode that each window is of."""
    scores, _, _ = principal(values[rows], COMPONENTS)
    return equal_windows(scores, source.episodes[rows], WINDOW, WINDOWS, np.random.default_rng(SEED))


def rotation(values: NDArray, rows: NDArray) -> JPCA:
    """Rotations in windows of some of the steps."""
    windows, of_episode = windowed(values, rows)
    return jpca(windows, TIMESTEP, COMPONENTS, DRAWS, SEED, groups=of_episode)  # windows of an episode are alike


found = {
    task: {name: rotation(values, source.of_task(task)) for name, values in {**populations, **untrained}.items()}
    for task in source.task_names
}

# %% [markdown]
# ## The fastest plane of each population

# %%
for task, of in found.items():
    names = [name for name in of if of[name].skew_r2.estimable]
    figure = Figure((9, 2.6 * -(-len(names) // 4)), layout="constrained")
    for at, name in enumerate(names):
        ax = plot_jpca(of[name], figure.add_subplot(-(-len(names) // 4), 4, at + 1))
        ax.set_title(f"{name}\n{ax.get_title()}", fontsize="small")
        ax.tick_params(labelsize="x-small")
    if names:
        show(figure, f"{task}: each line is a window of half a second, its dot the beginning.")

# %% [markdown]
# ## Against surrogates

# %%
findings = [
    Finding("skew R2", each.skew_r2, task=task, layer=name) for task, of in found.items() for name, each in of.items()
]
turning = {(each.task, each.layer) for each in beyond(findings)}  # more than both surrogates
table(findings, task="task", layer="population")

# %% [markdown]
# ## What it shows


# %%
def planes(of: JPCA) -> str:
    """Their frequencies and shares of the variance, in words."""
    each = zip(of.frequencies, of.variances, strict=True)
    return ", ".join(f"{hertz.value:.1f} Hz ({share.value:.0%} of the variance)" for hertz, share in each)


for task, of in found.items():
    layers = [name for name in source.layers if of[name].skew_r2.estimable]
    body = [name for name in ("senses", "joint angles") if (task, name) in turning]
    lines = []
    for name in layers:
        fresh = of.get(f"untrained {name}")
        lines.append(
            f"- {name}: skew R2 {told(of[name].skew_r2, 'maximum entropy')}, of any linear dynamics "
            f"{of[name].full_r2.value:.2f}; planes at {planes(of[name])}"
            + (f"; untrained {told(fresh.skew_r2, 'maximum entropy')}" if fresh else "")
        )
    say(
        f"**{task}.** Of {listed(layers)}, these turn beyond both surrogates, at a false discovery rate of 5 %: "
        f"{listed([name for name in layers if (task, name) in turning])}. So do {listed(body)} of the body, from which "
        "a rotation may be inherited.\n\n" + "\n".join(lines)
    )

# %%
# The frequency of the strides, to compare the planes with.
say(
    "\n".join(
        f"- {each.task}: strides of the {each.variable} come at {told(each.estimate)} Hz."
        for each in gait(source, {}, SEED).findings
        if each.measure == "median stride frequency (Hz)"
    )
)

# %% [markdown]
# ## Core beside policy
#
# A difference is that of a policy plane's frequency less the core plane's: of the fastest plane of both, and of the
# slowest, which mostly holds more of the variance.


# %%
def frequencies(values: NDArray, rows: NDArray) -> tuple[NDArray, NDArray]:
    """Of each plane (Hz), the fastest first, and of each plane without each of the episodes."""
    windows, of_episode = windowed(values, rows)
    return frequencies_without(windows, TIMESTEP, COMPONENTS, of_episode)


def beside_untrained(task: str, name: str) -> str:
    """The frequencies of the fastest and of the slowest plane in words, and those of the untrained network."""
    words = []
    for at in (0, -1):
        words.append(told(found[task][name].frequencies[at], "maximum entropy"))
        fresh = f"untrained {name}"
        words[-1] += (
            f"; untrained {told(found[task][fresh].frequencies[at], 'maximum entropy')}" if fresh in untrained else ""
        )
    return "; slowest ".join(words)


core = [name for name in source.layers if name.startswith("core")]
policy = [name for name in source.layers if name.startswith("policy")]
differences = []
for task in source.task_names if core else ():
    rows = source.of_task(task)
    own = {name: frequencies(populations[name], rows) for name in (*core, *policy)}
    fresh = [{name: frequencies(of[name], rows)[0] for name in (*core, *policy) if name in of} for of in networks]
    for plane, at in (("fastest", 0), ("slowest", -1)):
        for one, other in product(policy, core):
            (faster, without), (slower, left) = own[one], own[other]
            estimate = paired_difference((faster[at], slower[at]), (without[:, at], left[:, at]), seed=SEED)
            drawn = np.array([of[one][at] - of[other][at] for of in fresh if one in of])
            if estimate.estimable and np.isfinite(drawn).any():
                nulls = {**estimate.nulls, UNTRAINED: drawn[np.isfinite(drawn)]}
                estimate = replace(estimate, nulls=nulls)
            differences.append(Finding("Hz, less the core's", estimate, task, one, f"{plane} plane, less {other}"))

# %%
for task in source.task_names if core else ():
    of = [each for each in differences if each.task == task]
    faster = [
        f"{each.layer} ({each.variable}: {told(each.estimate, SWAPPED)})"
        for each in beyond(differences)
        if each.task == task
    ]
    count = sum(each.estimate.estimable for each in of)
    say(
        f"**{task}, planes (Hz).** Of {count} differences between {listed(policy)} and {listed(core)}, these are "
        "greater than with the layers swapped and, where there are any, than in untrained networks, at a false "
        f"discovery rate of 5 %: {listed(faster)}.\n\n"
        + "\n".join(f"- {name}: {beside_untrained(task, name)}" for name in (*core, *policy))
    )
if not core:
    say("This network has no core: whether a core turns slower than a policy can't be answered from this session.")
table(differences, task="task", layer="layer", variable="plane") if core else None

# %% [markdown]
# ## What can't be concluded
#
# - A rotation is no generator: a feed-forward layer turns because the body that it feels turns.
# - More skew R2 than the untrained network has is a matter of which senses the layer follows, unless the layer is
#   recurrent.
# - Few untrained networks tell great differences from chance alone, and one trained network is one training seed.
# - jPCA finds linear rotations on a few principal components; what turns in the others is not seen.
# - Surrogates of maximum entropy err to the strict side with few windows (docs/analyses.md).
