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
# with their mean.
#
# **Controls.** Surrogates of maximum entropy with the same covariances over windows, steps and components (Elsayed
# and Cunningham 2017); each component's paths dealt to other windows, which breaks the phase between components;
# the senses and the joints, from which rotations may be inherited; and the untrained network driven through the
# same episodes.

# %% tags=["parameters"]
SESSION = "run"  # a file that `rodent record` made, or the name of a shipped session
COMPONENTS = 6  # principal components
WINDOW, WINDOWS = 25, 60  # steps of a window, and how many at most
DRAWS = 40  # of each surrogate, and of the interval
SEED = 0

# %%
import numpy as np
from driven import untrained_layers
from matplotlib.figure import Figure
from numpy.typing import NDArray
from showing import beyond, listed, say, show, table, told

from analysis.inference import Estimate
from analysis.jpca import JPCA, jpca, plot_jpca
from analysis.report.findings import Finding
from analysis.report.source import TIMESTEP, Source, equal_windows, principal
from analysis.report.stages.gait import gait

source = Source(SESSION)
spread = source.senses.std(axis=0)
populations = {name: source.layer(name) for name in source.layers}
populations["senses"] = source.senses / np.where(spread > 0, spread, 1.0)  # they come in all kinds of units
populations["joint angles"] = source.series("joint_angles")
untrained = {f"untrained {name}": values for name, values in untrained_layers(source, SEED).items()}


# %%
def rotation(values: NDArray, rows: NDArray) -> JPCA:
    """Rotations in windows of some of the steps."""
    scores, _, _ = principal(values[rows], COMPONENTS)
    rng = np.random.default_rng(SEED)
    windows, of_episode = equal_windows(scores, source.episodes[rows], WINDOW, WINDOWS, rng)
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
for task, of in found.items():
    layers = [name for name in source.layers if of[name].skew_r2.estimable]
    body = [name for name in ("senses", "joint angles") if (task, name) in turning]
    lines = []
    for name in layers:
        fresh = of.get(f"untrained {name}")
        lines.append(
            f"- {name}: skew R2 {told(of[name].skew_r2, 'maximum entropy')}, of any linear dynamics "
            f"{of[name].full_r2.value:.2f}; planes at {', '.join(f'{f.value:.1f}' for f in of[name].frequencies)} Hz"
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


# %%
def fastest(task: str, name: str) -> Estimate:
    """The frequency (Hz) of its fastest plane, whose interval is over episodes."""
    return found[task][name].frequencies[0]


def beside_untrained(task: str, name: str) -> str:
    """The same in words, and that of the untrained network."""
    words = told(fastest(task, name), "maximum entropy")
    fresh = f"untrained {name}"
    return words + (f"; untrained {told(fastest(task, fresh), 'maximum entropy')}" if fresh in untrained else "")


core = [name for name in source.layers if name.startswith("core")]
policy = [name for name in source.layers if name.startswith("policy")]
for task in source.task_names if core else ():
    known = [name for name in policy if fastest(task, name).estimable]
    slower = [
        name
        for name in core
        if known and fastest(task, name).interval[1] < min(fastest(task, other).interval[0] for other in known)
    ]
    say(
        f"**{task}, fastest planes (Hz).** Of the core ({listed(core)}), these turn slower than every layer of the "
        f"policy, beyond the intervals over episodes: {listed(slower)}.\n\n"
        + "\n".join(f"- {name}: {beside_untrained(task, name)}" for name in (*core, *policy))
    )
if not core:
    say("This network has no core: whether a core turns slower than a policy can't be answered from this session.")

# %% [markdown]
# ## What can't be concluded
#
# - A rotation is no generator: a feed-forward layer turns because the body that it feels turns.
# - More skew R2 than the untrained network has is a matter of which senses the layer follows, unless the layer is
#   recurrent.
# - jPCA finds linear rotations on a few principal components; what turns in the others is not seen.
# - Surrogates of maximum entropy err to the strict side with few windows (docs/analyses.md).
