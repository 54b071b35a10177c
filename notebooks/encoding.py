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
# # What is encoded where
#
# **Question.** What do single units of each layer follow, what can be read from a whole layer, and how much of
# either is learnt rather than passed on from the senses? Merel et al. (2020) report fast kinematics in the policy,
# slow features in the core.
#
# The variables are those that any body has: speed, turning, height and heading of the torso, and the phase of the
# stride.

# %% tags=["parameters"]
SESSION = "run"  # a file that `rodent record` made, or the name of a shipped session
DRAWS = 100  # of other episodes for single units
DECODING_DRAWS = 20  # for whole layers and models of units
STEPS = 1200  # at random times that all episodes share, for these two
COMPONENTS = 64  # leading ones of each layer, that are read from
SEED = 0

# %%
import numpy as np
from driven import untrained_layers
from matplotlib.figure import Figure
from showing import listed, say, show, table, told

from analysis.dealing import CONTROL
from analysis.decoding import decode
from analysis.encoding import encode
from analysis.report.findings import Finding, mean_over_units
from analysis.report.source import Source, reduced
from analysis.report.stages.gait import gait
from analysis.report.stages.tuning import BINS, variables
from analysis.tuning import plot_tuning, tuning

source = Source(SESSION)
wanted = variables(source, gait(source, {}, SEED).arrays["phase"])
wanted = {name: values for name, values in wanted.items() if np.isfinite(values).sum() >= 200}
layers = {name: source.layer(name) for name in source.layers}
untrained = {f"untrained {name}": values for name, values in untrained_layers(source, SEED).items()}
say(
    f"`{source.name}`: {len(source.episodes)} steps in {len(source.lengths)} episodes of {listed(source.task_names)}; "
    f"layers {listed(list(layers))}; variables {listed(list(wanted))}."
)

# %% [markdown]
# ## Single units
#
# **Method.** A unit's tuning curve is its mean activity in bins of a variable. Its strength is the variance of the
# other half of the episodes that this curve explains, so that a curve of noise has none (`analysis.tuning`).
#
# **Control.** The variable of other episodes (Harris 2020, "Nonsense correlations in neuroscience"), with a false
# discovery rate of 5 % over units (Benjamini and Hochberg 1995); and the untrained network.

# %%
tuned = {
    (layer, name): tuning(activity, values, source.episodes, BINS, DRAWS, SEED, source.tasks)
    for layer, activity in {**layers, **untrained}.items()
    for name, values in wanted.items()
}
shares = np.array([[tuned[layer, name].strength.beat.mean() for name in wanted] for layer in {**layers, **untrained}])
figure = Figure((7, 0.6 + 0.4 * len(shares)), layout="constrained")
ax = figure.add_subplot()
image = ax.imshow(shares, vmin=0, vmax=1, aspect="auto")
ax.set_yticks(range(len(shares)), [*layers, *untrained])
ax.set_xticks(range(len(wanted)), list(wanted), rotation=20, ha="right")
figure.colorbar(image, label="share of units")
show(figure, "Share of each layer's units that follow a variable beyond other episodes.")

# %%
strongest = {name: max(layers, key=lambda layer: np.nanmax(tuned[layer, name].strength.value)) for name in wanted}
figure = Figure((2.6 * len(wanted), 2.6), layout="constrained")
for ax, (name, layer) in zip(figure.subplots(1, len(wanted), squeeze=False)[0], strongest.items(), strict=True):
    unit = int(np.nanargmax(tuned[layer, name].strength.value))
    plot_tuning(tuned[layer, name], unit, ax)
    ax.set_title(f"{layer}, unit {unit}: {tuned[layer, name].strength.value[unit]:.2f}", fontsize="small")
    ax.set_xlabel(name)
show(
    figure,
    "The unit that follows each variable best, and the variance of held-out episodes that its curve explains. It was "
    "chosen by this number, which errs upwards, as the best of many does.",
)

# %%
table(
    [
        Finding("mean strength", mean_over_units(found.strength), layer=layer, variable=name, interval_over="units")
        for (layer, name), found in tuned.items()
    ]
)

# %% [markdown]
# ## Whole layers
#
# **Method.** Ridge regression from the leading principal components of a layer's units, each in units of its spread, to
# a variable, on held-out episodes (`analysis.decoding`); angles are read as their cosine and sine. They are many, since
# few may leave out just what varies little and tells much: then a layer would seem to gain over the senses, or to lose
# what it has. The report reads all units.
#
# **Controls.** The variable of other episodes; the senses alone, which is all that a network without memory can
# know; and the untrained network.

# %%
SENSES = "senses (inputs alone)"
read = {**layers, SENSES: source.senses, **untrained}
spread = {name: np.where((each := values.std(axis=0)) > 0, each, 1.0) for name, values in read.items()}
populations = {name: reduced(values / spread[name], COMPONENTS) for name, values in read.items()}
rows, decoded = source.thinned(STEPS), {}
for name, values in wanted.items():
    target = np.stack([np.cos(values), np.sin(values)], axis=1) if "(rad)" in name else values[:, None]
    decoded[name] = decode(
        {layer: activity[rows] for layer, activity in populations.items()},
        target[rows],
        source.episodes[rows],
        folds=3,
        draws=DECODING_DRAWS,
        seed=SEED,
        tasks=source.tasks[rows],
        known=np.isfinite(values[rows]),
    )
figure = Figure((7, 3.2), layout="constrained")
ax = figure.add_subplot()
for i, (name, of) in enumerate(decoded.items()):
    at = np.arange(len(of)) + 0.1 * (i - len(decoded) / 2)
    ax.plot(at, [each.value for each in of.values()], "o", ms=4, color=f"C{i}", label=name)
    for x, each in zip(at, of.values(), strict=True):
        ax.plot([x, x], each.interval, lw=1, color=f"C{i}")
ax.axhline(0, color="black", lw=0.5)
ax.set_ylim(bottom=-0.5)
ax.set_xticks(range(len(populations)), list(populations), rotation=25, ha="right", fontsize="small")
ax.set_ylabel("variance explained")
ax.legend(frameon=False, fontsize="x-small", bbox_to_anchor=(1, 1), loc="upper left")
show(figure, "Variance of held-out episodes that each population tells, with 95 % intervals over episodes.")

# %%
table(
    [Finding("decoded", each, layer=layer, variable=name) for name, of in decoded.items() for layer, each in of.items()]
)

# %% [markdown]
# ## What a unit owes to which movement
#
# **Method.** Ridge models of some units from families of features; a family's unique contribution is what is lost
# without it (`analysis.encoding`). **Control.** That family taken from other episodes.

# %%
torso = np.stack([values for name, values in source.kinematics.items() if "heading" not in name], axis=1)
families = {
    "joint angles": reduced(source.series("joint_angles"), 8),
    "joint velocities": reduced(source.series("joint_velocities"), 8),
    "forces": reduced(source.series("actuator_force"), 8),
    "torso": torso,
}
some = {layer: activity[rows][:, :: -(-activity.shape[1] // 6)] for layer, activity in layers.items()}
models = encode(
    np.concatenate(list(some.values()), axis=1),
    {name: values[rows] for name, values in families.items()},
    source.episodes[rows],
    folds=3,
    draws=DECODING_DRAWS,
    seed=SEED,
    tasks=source.tasks[rows],
)
layer_of = np.repeat(list(some), [values.shape[1] for values in some.values()])
unique = np.array([[np.nanmean(models.unique[name].value[layer_of == layer]) for name in families] for layer in some])
figure = Figure((6, 0.8 + 0.4 * len(some)), layout="constrained")
ax = figure.add_subplot()
image = ax.imshow(unique, vmin=0, aspect="auto")
ax.set_yticks(range(len(some)), list(some))
ax.set_xticks(range(len(families)), list(families))
figure.colorbar(image, label="unique variance explained")
show(figure, "What is lost of the explained variance of held-out episodes without one family, mean over units.")

# %% [markdown]
# ## What it shows

# %%
for name in wanted:
    following = [
        f"{tuned[layer, name].strength.beat.mean():.0%} in {layer}"
        + (
            f" (untrained {tuned[f'untrained {layer}', name].strength.beat.mean():.0%})"
            if f"untrained {layer}" in untrained
            else ""
        )
        for layer in layers
    ]
    best = max(layers, key=lambda layer: decoded[name][layer].value)
    say(
        f"**{name}.** Units that follow it: {listed(following)}. The layer that tells most of it is {best}, "
        f"{told(decoded[name][best], CONTROL)}; the senses alone tell {told(decoded[name][SENSES], CONTROL)}."
    )

# %%
most = {layer: list(families)[int(np.nanargmax(of))] for layer, of in zip(some, unique, strict=True)}
beating = {layer: models.unique[family].beat[layer_of == layer] for layer, family in most.items()}
say(
    "\n".join(
        f"- {layer} owes most to {family}; that beats other episodes in {beating[layer].sum()} of "
        f"{len(beating[layer])} units."
        for layer, family in most.items()
    )
)

# %% [markdown]
# ## What can't be concluded
#
# - That a layer *uses* what can be read from it. Only a perturbation tells (`policies.probe`).
# - That a layer lacks what a linear readout of its leading components does not tell.
# - That it was learnt, where the untrained network or the senses alone tell as much.
# - Anything about heading that the null calls chance: episodes of one corridor all begin alike, and what they share
#   belongs to the null.
# - Intervals are over the episodes of one network, not over training seeds.
