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
# # How long units stay as they are
#
# **Question.** The body changes within a stride, a plan over seconds. Over which times do units of each layer
# change, and is any of it the network's own? Merel et al. (2020) report 1 to 10 s for units of a recurrent core and
# less than a second for those of the policy.
#
# **Method.** The autocorrelation of each unit over the steps of each episode is fitted by an exponential, whose
# time constant is the unit's timescale (Murray et al. 2014, "A hierarchy of intrinsic timescales across primate
# cortex"). Products never span two episodes, and the mean is that of the whole recording: taking each episode's own
# mean away would take slow changes with it (`analysis.timescales`).
#
# **Controls.** White noise in the same episodes; the senses and the joints, from which a unit may inherit its
# timescale; and the same network with fresh weights, driven through the same episodes from the recorded senses.

# %% tags=["parameters"]
SESSION = "run"  # a file that `rodent record` made, or the name of a shipped session
UNITS = 24  # at most, of each layer, at even spacing
DRAWS = 20  # of white noise, and of episodes for each unit's interval
SEED = 0

# %%
from collections.abc import Mapping

import numpy as np
from driven import untrained_layers
from matplotlib.figure import Figure
from showing import listed, say, show, told

from analysis.report.source import TIMESTEP, Source
from analysis.report.stages.timescales import median_of_units
from analysis.timescales import NO_DECAY, Timescales, unit_timescales

source = Source(SESSION)
shortest, middle, longest = (TIMESTEP * each for each in np.quantile(source.lengths, [0, 0.5, 1]))
say(
    f"The session `{source.name}` holds {len(source.lengths)} episodes of {shortest:.1f} to {longest:.1f} s of "
    f"{listed(source.task_names)}. A timescale longer than two thirds of the median one, {2 / 3 * middle:.1f} s, "
    "cannot be seen in it."
)


# %%
def measured(populations: Mapping[str, np.ndarray]) -> dict[str, Timescales]:
    """Timescales of some units of each population."""
    return {
        name: unit_timescales(
            values[:, :: -(-values.shape[1] // UNITS)],
            source.episodes,
            TIMESTEP,
            tasks=source.tasks,
            draws=DRAWS,
            seed=SEED,
        )
        for name, values in populations.items()
    }


layers = [name for name in source.layers if name != "policy.mean"]
trained = measured({name: source.layer(name) for name in layers})
untrained = measured(untrained_layers(source, SEED))
body = measured({"senses": source.senses, "joint angles": source.series("joint_angles")})

# %% [markdown]
# ## Autocorrelation
#
# Bumps are strides: a unit that follows the gait resembles itself again a stride later, and its timescale is that
# of the first fall.

# %%
figure = Figure((7, 3.2), layout="constrained")
ax = figure.add_subplot()
for i, (name, found) in enumerate({**trained, **body}.items()):
    lag = TIMESTEP * np.arange(len(found.autocorrelation))
    ax.plot(lag, found.autocorrelation.mean(axis=1), color=f"C{i}", ls="--" if name in body else "-", label=name)
    if name in untrained:
        ax.plot(lag, untrained[name].autocorrelation.mean(axis=1), color=f"C{i}", lw=0.8, ls=":")
ax.axhline(0, color="black", lw=0.5)
ax.set_xlim(0, min(2.0, float(lag[-1])))
ax.set_xlabel("lag (s)")
ax.set_ylabel("autocorrelation")
ax.legend(frameon=False, fontsize="small")
show(figure, "Mean over the units of each layer (lines), of the untrained network (dotted), and of the body (dashed).")

# %% [markdown]
# ## Timescales

# %%
known = {name: found.tau.value[np.isfinite(found.tau.value)] for name, found in {**trained, **body}.items()}
fresh = {name: found.tau.value[np.isfinite(found.tau.value)] for name, found in untrained.items()}
figure = Figure((7, 3.2), layout="constrained")
ax = figure.add_subplot()
for at, name in enumerate(known):
    ax.plot(at + np.linspace(-0.3, 0.0, len(known[name])), np.sort(known[name]), ".", color="C0", ms=3)
    if name in fresh:
        ax.plot(at + np.linspace(0.05, 0.35, len(fresh[name])), np.sort(fresh[name]), ".", color="C1", ms=3)
ax.set_xticks(range(len(known)), list(known))
ax.set_yscale("log")
ax.set_ylabel("timescale (s)")
show(
    figure,
    "Each dot is a unit, or a channel of the body, sorted: trained (blue) and untrained (orange). Units that do not "
    "decay within the longest lag have no dot; they count in what follows.",
)

# %% [markdown]
# ## What it shows


# %%
def median(found: Timescales) -> str:
    """The median with a 95 % interval over units; units that never decay count as the slowest."""
    tau = found.tau
    return told(median_of_units(tau.value, tau.null, tau.reasons, SEED), digits=3)


say(
    "Median timescales in s, with 95 % intervals over units:\n\n"
    + "\n".join(
        f"- {name}: {median(found)}" + (f"; untrained {median(untrained[name])}" if name in untrained else "")
        for name, found in {**trained, **body}.items()
    )
)


# %%
def slower(found: Timescales) -> str:
    """How many units are slower than a second, those that never decay among them where lags reach as far."""
    never = np.array([reason == NO_DECAY for reason in found.tau.reasons])
    known = np.isfinite(found.tau.value) | never
    reached = TIMESTEP * len(found.autocorrelation)
    if never.any() and reached < 1:
        return f"{never.sum()} of {known.sum()} units do not decay within {reached:.1f} s"
    return f"{((found.tau.value > 1) | never).sum()} of {known.sum()} units are slower than a second"


recurrent = [name for name in layers if name.endswith((".h", ".c"))]
say(
    "\n".join(
        f"- {name}: {slower(trained[name])}; "
        f"{trained[name].tau.beat.sum()} of {len(trained[name].tau.value)} beat white noise at a false discovery rate "
        "of 5 %."
        for name in layers
    )
)
say(
    f"The recurrent layers are {listed(recurrent)}: only their timescales can be of the network's own making."
    if recurrent
    else "This network is feed-forward: it keeps nothing from one step to the next. Its timescales are inherited from "
    "the senses, and what differs between its layers, or from an untrained network, is *which* senses they follow."
)

# %% [markdown]
# ## What can't be concluded
#
# - Nothing about memory from a feed-forward network: the paper's claim is about a recurrent core.
# - Nothing slower than two thirds of the median episode. Record longer ones to look for the paper's 10 s.
# - A rhythm is not a decay. The time constant of a unit that oscillates with the strides measures how fast it
#   leaves its value within the stride.
# - This is one trained and one untrained network. `benchmarks/trained_untrained.py` takes many untrained ones.
