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
# # Which layers resemble which behaviour, and each other
#
# **Question.** Does the policy follow fast kinematics and a core slow ones? Do deeper layers come closer to what
# the muscles do? Merel et al. (2020) report both.
#
# **Method.** The paper's protocol: k-means of each family of features, the mean population vector of each cluster,
# and the similarity of the two sets of means by linear CKA (Kornblith et al. 2019), here its unbiased form (Song et
# al. 2012), since the biased one is far above zero by chance (`analysis.similarity`).
#
# **Controls.** The same with each episode's behaviour taken from another episode; how well any means could agree
# with these noisy ones (the noise ceiling); and the untrained network driven through the same episodes.

# %% tags=["parameters"]
SESSION = "run"  # a file that `rodent record` made, or the name of a shipped session
CLUSTERS = 50  # of each family, as in the paper; a tenth of the steps at most
COMPONENTS = 15  # principal components of each family
DRAWS = 60  # of other episodes, and of the interval
SEED = 0

# %%
from itertools import combinations

import numpy as np
from driven import untrained_layers
from matplotlib.figure import Figure
from showing import listed, say, show, table, told

from analysis.behavioural_features import behavioural_features
from analysis.dealing import CONTROL
from analysis.drawing import draw_cka
from analysis.report.findings import Finding, Outcome
from analysis.report.source import TIMESTEP, Source
from analysis.report.stages.between_tasks import between_tasks
from analysis.report.stages.families import families
from analysis.similarity import blocks, cka, cluster_means, clustered_similarity

source = Source(SESSION)
rows = source.thinned(6000)
bands = {
    f"features.{band}": behavioural_features(
        source.series("joint_angles"), source.posture, source.episodes, TIMESTEP, band
    ).values
    for band in ("fast", "slow")
}
features, missing = families(source, bands, rows, COMPONENTS)
for name, reason in missing.items():
    say(f"{name}: not estimable ({reason}).")
layers = {name: source.layer(name, rows) for name in source.layers}
untrained = {f"untrained {name}": values[rows] for name, values in untrained_layers(source, SEED).items()}

# %%
found = clustered_similarity(
    features,
    layers | untrained,
    source.episodes[rows],
    clusters=min(CLUSTERS, len(rows) // 10),
    draws=DRAWS,
    seed=SEED,
    tasks=source.tasks[rows],
)

# %% [markdown]
# ## Behaviour in each layer

# %%
figure = Figure((8, 3.6), layout="constrained")
ax = figure.add_subplot()
for i, feature in enumerate(features):
    at = np.arange(len(layers)) + 0.09 * (i - len(features) / 2)
    estimates = [found.agreement[feature, layer] for layer in layers]
    ax.plot(at, [each.value for each in estimates], "o", ms=4, color=f"C{i}", label=feature)
    for x, each in zip(at, estimates, strict=True):
        ax.plot([x, x], each.interval, lw=1, color=f"C{i}")
    ax.plot(at, [found.ceiling[feature, layer] for layer in layers], "_", ms=7, color=f"C{i}")
    fresh = [found.agreement.get((feature, f"untrained {layer}")) for layer in layers]
    ax.plot(at, [each.value if each else np.nan for each in fresh], "o", ms=4, mfc="none", color=f"C{i}")
ax.set_xticks(range(len(layers)), list(layers))
ax.set_ylabel("unbiased CKA")
ax.legend(frameon=False, fontsize="x-small", bbox_to_anchor=(1, 1), loc="upper left")
show(
    figure,
    "Similarity of layers with families of features over clusters of the family, with 95 % intervals over episodes; "
    "hollow: untrained; dashes: the noise ceiling.",
)

# %%
table([Finding("CKA", each, layer=layer, variable=feature) for (feature, layer), each in found.agreement.items()])

# %% [markdown]
# ## Layers beside each other

# %%
likeness = {}
if "pose" in found.clusters and (found.clusters["pose"] >= 0).all():
    labels = found.clusters["pose"]
    means = {name: cluster_means(values, labels, np.unique(labels)) for name, values in (layers | untrained).items()}
    like = blocks(np.unique(labels, return_counts=True)[1])  # the null permutes clusters of like many steps
    likeness = {
        (one, other): cka(means[one], means[other], draws=DRAWS, seed=SEED, within=like)
        for one, other in combinations(means, 2)
    }
    names = list(means)
    matrix = np.eye(len(names))
    for (one, other), each in likeness.items():
        matrix[names.index(one), names.index(other)] = matrix[names.index(other), names.index(one)] = each.value
    show(draw_cka(matrix, names, names), "Unbiased CKA between the layers' mean activities over clusters of posture.")

# %% [markdown]
# ## What it shows

# %%
fast, slow = "fast kinematics (5 to 25 Hz)", "slow kinematics (0.3 to 5 Hz)"
say(
    "\n".join(
        f"- {layer} and {feature}: {told(found.agreement[feature, layer], CONTROL)}"
        for layer in layers
        for feature in (fast, slow)
        if feature in features
    )
)
say(
    "Beyond other episodes, the families go with these layers:\n\n"
    + "\n".join(
        f"- {feature}: {listed([layer for layer in layers if CONTROL in found.agreement[feature, layer].beat])}; "
        f"{listed([layer for layer in untrained if CONTROL in found.agreement[feature, layer].beat])}"
        for feature in features
    )
)

# %%
hidden = [layer for layer in layers if f"untrained {layer}" in untrained]
say(
    "\n".join(
        f"- {one} and {other}: {told(likeness[one, other], 'permuted samples')}; untrained "
        f"{told(likeness[f'untrained {one}', f'untrained {other}'], 'permuted samples')}"
        for one, other in combinations(hidden, 2)
        if likeness
    )
)
# %% [markdown]
# ## The same postures in different tasks

# %%
if len(source.task_names) > 1 and likeness:
    apart = Outcome()
    between_tasks(source, rows, labels, layers | untrained | features, SEED, apart)
    table(apart.findings)
else:
    say(
        f"Tasks in this session: {listed(source.task_names)}. How alike tasks are, layer by layer, can't be answered "
        "from one task."
    )

# %% [markdown]
# ## What can't be concluded
#
# - That a layer computes what it resembles: a fresh network resembles its senses, too. Only what beats the
#   untrained network is learnt.
# - Differences between families within a layer: they have unlike dimensions and noise; look at the ceilings.
# - A layer that treats two tasks alike may only inherit it: look at the families of features beside it.
# - Core against policy needs a recurrent agent.
