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
# # What the rat does, and what its tasks share
#
# Four questions, each with its control: how many postures there are, how it strides, which behaviours it has, and
# whether tasks share them at fast timescales and not at slow ones, as Merel et al. (2020) report.

# %% tags=["parameters"]
SESSIONS = ["run"]  # files that `rodent record` made, of one or several tasks each, or names of shipped sessions
SEED = 0

# %%
import numpy as np
import pandas as pd
from showing import beyond, listed, say, show, table, told

from analysis.behavioural_features import behavioural_features
from analysis.dealing import CONTROL
from analysis.decoding import classify, told_by_episode
from analysis.inference import not_estimable
from analysis.paired import SWAPPED, paired_mean
from analysis.report import behaviour_map
from analysis.report.findings import Finding
from analysis.report.source import TIMESTEP, Source
from analysis.report.stages.behaviour import behaviour
from analysis.report.stages.gait import gait

sources = [Source(session) for session in SESSIONS]
pd.concat({source.name: source.session.trials for source in sources}, names=["session", "trial"])

# %% [markdown]
# ## Postures
#
# **Question.** How many ways to bend does the rat use?
#
# **Method.** Principal components of the joint angles, and of the joints' positions in the torso's frame: the
# eigenpostures of Merel et al. (2020), who keep 15 of each.
#
# **Control.** Each joint taken from another episode by itself: joints that share nothing but their episodes.

# %%
drawn = behaviour_map.behaviour_map(sources, SEED)
outcomes = {source.name: behaviour(source, {behaviour_map.NAME: drawn.arrays}, SEED) for source in sources}
for name, outcome in outcomes.items():
    for kind, picture in outcome.pictures.items():
        if kind.startswith("eigenpostures"):
            show(picture.figure, f"{name}: {picture.caption}")

# %%
shared = "features of other episodes"
for name, outcome in outcomes.items():
    for each in outcome.findings:
        if each.measure.startswith("variance that"):
            say(f"**{name}, {each.variable}.** Of the variance, 15 components hold {told(each.estimate, shared, 3)}.")

# %% [markdown]
# **What can't be concluded.** That the nervous system commands few dimensions: the joints are coupled by the body
# and by tendons, too. An untrained network moves the same body; `benchmarks/trained_untrained.py` records one.
#
# ## Gait
#
# **Question.** Does it stride like a rat: at which frequency, and longer or faster when it runs faster?
#
# **Method.** A paw is planted from below 0.4 to above 0.6 m/s in the world; a stride lasts from one touch-down to
# the next and no longer than 1 s, since what lasts longer is a pause (`analysis.gait`). Frequency and duty factor are
# correlated with speed by rank, and the phase between paws is told with its resultant length. Length, which is speed
# times period, is described: it goes with speed unless the period makes up for it.
#
# **Control.** The same strides with the speeds, and with the other paw's touch-downs, of other episodes: strides that
# follow each other are alike, and are no independent samples. A verdict is at a false discovery rate of 5 % over the
# table.

# %%
gaits = {source.name: gait(source, {}, SEED) for source in sources}
for name, outcome in gaits.items():
    for picture in outcome.pictures.values():
        show(picture.figure, f"{name}: {picture.caption}")
strides = [each for outcome in gaits.values() for each in outcome.findings]
table(strides, task="task", measure="measure", variable="of")

# %%
rising = [id(each) for each in beyond(strides)]
for each in strides:
    if each.measure == "rank correlation with speed" and each.estimate.nulls:
        verdict = f"{'rises' if id(each) in rising else 'does not rise'} with speed beyond the control"
        say(f"**{each.task}, {each.variable}** {verdict}: {told(each.estimate, *each.estimate.nulls)}.")
    elif each.measure == "rank correlation with speed":
        say(f"**{each.task}, {each.variable}**, rank correlation with speed, described: {told(each.estimate)}.")

# %% [markdown]
# **What can't be concluded.** That it runs as rats do from the frequency alone: which paw follows which, and how
# long each stands, is in the table. Nor that it chooses its stride by its speed, where every episode starts from rest
# and the slow strides are those of the start.
#
# ## Behaviours
#
# **Question.** Does what it does fall into distinct behaviours, and does one foretell the next?
#
# **Method.** t-SNE of the Morlet amplitudes of posture (1 to 25 Hz), its density, and watershed regions as
# behaviours (Berman et al. 2014), with HDBSCAN beside them; bouts are runs of one label. Several sessions share a map.
#
# **Control.** For the regions, whether the second method draws the same borders, by the adjusted Rand index (1 where it
# does); labels rolled in time, beside it, are beaten by any two ways to cut one map. For the order, bouts of each
# episode in another order in which none follows its like, as no recorded one does.

# %%
for name, outcome in outcomes.items():
    for kind in ("map", "ethogram", "transitions"):
        if kind in outcome.pictures:
            show(outcome.pictures[kind].figure, f"{name}: {outcome.pictures[kind].caption}")
for picture in drawn.pictures.values():
    show(picture.figure, picture.caption)

# %%
for name, outcome in outcomes.items():
    say(f"**{name}** has {len(outcome.arrays['names'])} behaviours: {'; '.join(outcome.arrays['names'])}.")
    for each in (*drawn.findings, *outcome.findings):
        if each.measure.startswith(("agreement", "predictability")):
            say(f"- {each.measure}: {told(each.estimate, next(iter(each.estimate.nulls), ''))}")

# %% [markdown]
# **What can't be concluded.** That the behaviours are discrete: a watershed cuts any density into regions. Where
# HDBSCAN disagrees, the borders are the method's. And where the ethogram shows the same order in each episode, the
# behaviours are stages of a start that all episodes have in common.
#
# ## Across tasks
#
# **Question.** Are tasks done with the same fast movements and other slow ones?
#
# **Method.** If tasks share behaviour at a timescale, features of that timescale cannot tell them apart. The task
# is read from the amplitudes of posture in the paper's fast (5 to 25 Hz) and slow (0.3 to 5 Hz) bands, by linear
# discriminants on held-out episodes (`analysis.decoding`). Whether one band tells more than the other is asked over
# episodes, of what either tells in each (`analysis.paired`).
#
# **Control.** Tasks dealt to other episodes; of the difference, bands swapped in whole episodes.

# %%
offsets = np.cumsum([0, *(len(source.lengths) for source in sources)])
episodes = np.concatenate([source.episodes + offset for source, offset in zip(sources, offsets, strict=False)])
tasks = np.concatenate([source.tasks for source in sources]).astype(str)
angles = np.concatenate([source.series("joint_angles") for source in sources])
posture = np.concatenate([source.posture for source in sources])
amplitudes = {}
for band in ("fast", "slow"):
    features = behavioural_features(angles, posture, episodes, TIMESTEP, band)
    if features.reason:
        say(f"The {band} band: not estimable ({features.reason}).")
        amplitudes[band] = np.full((len(tasks), 1), np.nan)
    else:
        amplitudes[band] = features.values[:, [", " in name for name in features.names]]
before = np.cumsum([0, *(len(source.episodes) for source in sources)])
known = np.concatenate([source.thinned(2000 // len(sources)) + at for source, at in zip(sources, before, strict=False)])
known = known[np.isfinite(np.concatenate(list(amplitudes.values()), axis=1)[known]).all(axis=1)]  # whole episodes
if len(known):
    told_apart = classify({band: values[known] for band, values in amplitudes.items()}, tasks[known], episodes[known])
else:
    told_apart = dict.fromkeys(amplitudes, not_estimable("no episode is as long as the slowest period"))
table([Finding("balanced accuracy", each, layer=band) for band, each in told_apart.items()], layer="band")

# %%
if all(each.estimable for each in told_apart.values()):
    fast, slow = told_apart["fast"], told_apart["slow"]
    right = {band: told_by_episode(values[known], tasks[known], episodes[known]) for band, values in amplitudes.items()}
    difference = paired_mean(right["slow"] - right["fast"], seed=SEED)
    more = difference.beat and slow.beat
    say(
        f"The task is told with a balanced accuracy of {told(fast, CONTROL)} from fast movements, and of "
        f"{told(slow, CONTROL)} from slow ones. In an episode, slow ones tell it right in a share of the steps that is "
        f"greater by {told(difference, SWAPPED)}. "
        + (
            "Slow ones tell more, as the paper's account has it."
            if more
            else "That is no difference beyond the controls, so that this is not what the paper found."
        )
    )
else:
    say(
        f"What tasks share can't be answered from {listed(np.unique(tasks).tolist())} alone "
        f"({told_apart['fast'].reason}). Record others, `rodent record POLICY --task two-tap escape-bowl -o b.nwb`, "
        "and add them to `SESSIONS`."
    )

# %% [markdown]
# **What can't be concluded.** That a network re-uses a controller: tasks may look alike because the body is. Worlds
# that differ in their ground differ in the movements on it.
