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
# # A tour of one session
#
# **Question.** What is in a recorded session, what happens in one episode of it, and do units follow the strides?
#
# **Method.** `rodent record` writes NWB on HDF5: every layer, the body, the senses, actions, forces and rewards on
# one clock of 50 Hz (docs/recordings.md). Here one episode is looked at, and then all touch-downs of a foot are
# lined up.

# %% tags=["parameters"]
SESSION = "run"  # a file that `rodent record` made, or the name of a shipped session
TRIAL = 0
LAYER = ""  # whose units are shown; the middle one if empty
SEED = 0

# %%
import numpy as np
from matplotlib.figure import Figure
from showing import listed, say, show, told

from analysis.report.source import PAWS, TIMESTEP, Source
from analysis.report.stages.gait import gait
from analysis.sequences import plot_sequence, sequence

source = Source(SESSION)
session = source.session
say(session.description)
session.trials

# %% [markdown]
# ## What is recorded

# %%
say("\n".join(f"- `{name}` {layer.shape}: {layer.description}" for name, layer in session.layers.items()))

# %%
say(
    "\n".join(
        f"- `{name}` {each.shape}, {each.unit}" for name, each in session.behaviour.items() if "pose." not in name
    )
)

# %% [markdown]
# Anything can be had as an array, as pynapple's or as xarray's, restricted by task, outcome or behaviour.

# %%
session.where(task=source.task_names[0]).behaviour["joint_angles"].pynapple()

# %% [markdown]
# ## One episode
#
# The body from the side, drawn from the recorded pose.

# %%
inside = np.flatnonzero(source.episodes == TRIAL)
names, edges = session.skeleton
places = np.stack([source.series(f"pose.{name}")[inside] for name in names], axis=1)  # (steps, parts, 3) m
moments = np.linspace(0, len(inside) - 1, 9).astype(int)
figure = Figure((9, 1.8), layout="constrained")
for ax, step in zip(figure.subplots(1, len(moments), sharey=True), moments, strict=True):
    body = places[step] - places[step, names.index("torso")] * [1, 1, 0]
    for one, other in edges:
        ax.plot(body[[one, other], 0], body[[one, other], 2], color="black", lw=1)
    ax.axhline(0, color="grey", lw=0.5)
    ax.set_title(f"{TIMESTEP * step:.2f} s", fontsize="small")
    ax.set_aspect("equal")
    ax.axis("off")
show(figure, f"Trial {TRIAL}: the skeleton at nine moments, from the side; the grey line is the floor of a flat world.")

# %%
layer = LAYER or list(source.layers)[len(source.layers) // 2]
activity = source.layer(layer)
strides = gait(source, {}, SEED)
standing = strides.arrays["standing"]
time = TIMESTEP * np.arange(len(inside))
figure = Figure((9, 7), layout="constrained")
top, paws, joints, units, reward = figure.subplots(5, 1, sharex=True, height_ratios=[1, 0.7, 1, 2, 1])
top.plot(time, source.kinematics["speed (m/s)"][inside])
top.set_ylabel("speed (m/s)")
paws.imshow(standing[inside].T, aspect="auto", cmap="Greys", extent=(0, time[-1] + TIMESTEP, 3.5, -0.5))
paws.set_yticks(range(4), PAWS, fontsize="small")
columns = session.behaviour["joint_angles"].columns
for name in ("knee_L", "knee_R"):
    joints.plot(time, source.series("joint_angles")[inside, columns.index(name)], label=name)
joints.set_ylabel("angle (rad)")
joints.legend(frameon=False, fontsize="x-small", loc="upper right")
scaled = (activity - activity.mean(axis=0)) / (activity.std(axis=0) + 1e-12)
foot = standing[:, PAWS.index("foot L")]
down = np.flatnonzero(foot[1:] & ~foot[:-1] & (source.episodes[1:] == source.episodes[:-1])) + 1
found = sequence(activity, down, source.episodes, 5, 10, 60, SEED)
order = found.order if found.reliability.estimable else np.arange(activity.shape[1])
units.imshow(
    scaled[inside][:, order].T, aspect="auto", cmap="RdBu_r", vmin=-2, vmax=2, extent=(0, time[-1] + TIMESTEP, 0, 1)
)
units.set_yticks([])
units.set_ylabel(f"units of {layer}")
reward.plot(time, source.series("reward")[inside])
reward.set_ylabel("reward")
reward.set_xlabel("time (s)")
show(
    figure,
    f"Trial {TRIAL}: speed, paws on the ground (black), the knees, all units of {layer} in the order of their peak "
    "around touch-downs of the left hind foot, and the reward.",
)

# %% [markdown]
# ## Around each touch-down
#
# **Control.** Anything looks ordered when it is sorted by its peak. So units are ordered in one half of the events
# and drawn in the other, and the null rolls each unit in each event (`analysis.sequences`).

# %%
if found.reliability.estimable:
    show(plot_sequence(found).figure, f"{layer} around the touch-downs of the left hind foot; a step is 20 ms.")

# %% [markdown]
# ## What it shows

# %%
speed = source.kinematics["speed (m/s)"][inside]
say(
    f"Trial {TRIAL} is {len(inside) * TIMESTEP:.1f} s of {session.trials.task.iloc[TRIAL]}, at a median of "
    f"{np.median(speed):.2f} m/s, with a return of {session.trials['return'].iloc[TRIAL]:.0f}. The paws are on the "
    "ground "
    + listed([f"{share:.0%} ({paw})" for paw, share in zip(PAWS, standing[inside].mean(axis=0), strict=True)])
    + " of the time."
)
say(
    "\n".join(
        f"- {each.task}, {each.variable}: strides at {told(each.estimate)} Hz"
        for each in strides.findings
        if each.measure == "median stride frequency (Hz)"
    )
)

# %%
null = next(iter(found.reliability.nulls), "")
say(
    f"Over {len(down)} touch-downs the order of {layer}'s units in one half of the events agrees with that in the "
    f"other by a rank correlation of {told(found.reliability, null)}."
)

# %% [markdown]
# ## What can't be concluded
#
# - That units drive the strides: they feel them, too. `notebooks/rotations.py` asks about the body's own rotations.
# - That one episode is like the others. `rodent analyze SESSION -o report/` looks at all of them, with intervals
#   over episodes, and its page plays the film beside the activity.
