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
from showing import beyond, listed, say, show, table, told

from analysis.behavioural_features import behavioural_features
from analysis.clustered import clustered_similarity
from analysis.dealing import CONTROL
from analysis.drawing import draw_cka
from analysis.report.findings import Finding, Outcome
from analysis.report.source import TIMESTEP, Source
from analysis.report.stages.between_tasks import CEILING, CKA, likeness_of_tasks
from analysis.report.stages.conditions import Conditions
from analysis.report.stages.families import families
from analysis.similarity import cka

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
ax.set_xticks(range(len(layers)), list(layers), rotation=30, ha="right", fontsize="small")
ax.set_ylabel("unbiased CKA")
ax.legend(frameon=False, fontsize="x-small", bbox_to_anchor=(1, 1), loc="upper left")
show(
    figure,
    "Similarity of layers with families of features over clusters of the family, with 95 % intervals over episodes; "
    "hollow: untrained; dashes: the noise ceiling.",
)

# %%
findings = [Finding("CKA", each, layer=layer, variable=feature) for (feature, layer), each in found.agreement.items()]
going = {(each.layer, each.variable) for each in beyond(findings, CONTROL)}
table(findings)

# %% [markdown]
# ## Layers beside each other

# %%
labels = found.clusters.get("pose", np.full(len(rows), -1))
conditions = Conditions.of([labels], [source.tasks[rows]])  # clusters of posture, each task's for itself
likeness = {}
if conditions.reason:
    say(f"Layers beside each other, and in other tasks: not estimable ({conditions.reason}).")
else:
    means = {name: conditions.means(values) for name, values in (layers | untrained).items()}
    likeness = {
        (one, other): cka(means[one], means[other], draws=DRAWS, seed=SEED, within=conditions.blocks)
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
    "Beyond other episodes, at a false discovery rate of 5 % over the table above, the families go with these "
    "layers:\n\n"
    + "\n".join(
        f"- {feature}: {listed([layer for layer in layers if (layer, feature) in going])}; "
        f"{listed([layer for layer in untrained if (layer, feature) in going])}"
        for feature in features
    )
)

# %%
hidden = [layer for layer in layers if f"untrained {layer}" in untrained]
lines = []
for one, other in combinations(hidden, 2) if likeness else ():
    each, fresh = likeness[one, other], likeness[f"untrained {one}", f"untrained {other}"]
    permuted = next(iter(each.nulls), "")
    lines.append(f"- {one} and {other}: {told(each, permuted, 3)}; untrained {told(fresh, permuted, 3)}")
say("\n".join(lines))

# %% [markdown]
# ## The same postures in different tasks

# %%
apart = Outcome()
if len(source.task_names) < 2:
    say(
        f"Tasks in this session: {listed(source.task_names)}. How alike tasks are, layer by layer, can't be answered "
        "from one task."
    )
elif not conditions.reason:
    apart.findings += likeness_of_tasks(source, rows, labels, layers | untrained | features, SEED)
    table([each for each in apart.findings if each.measure in (CKA, CEILING)])

# %%
alike = [each for each in apart.findings if each.measure == CKA]
ceilings = {(each.layer, each.variable): each.estimate for each in apart.findings if each.measure == CEILING}
if any(each.estimate.estimable for each in alike):
    figure = Figure((8, 3.6), layout="constrained")
    ax = figure.add_subplot()
    shown = [*layers, *features]
    pairs = list(dict.fromkeys(each.variable for each in alike))
    for each in alike:
        i, name = pairs.index(each.variable), each.layer.removeprefix("untrained ")
        x = shown.index(name) + 0.6 * (i + 0.5) / len(pairs) - 0.3
        if each.layer in untrained:
            ax.plot(x + 0.08, each.estimate.value, "o", ms=4, mfc="none", color=f"C{i}")
            continue
        label = each.variable if name == shown[0] else None
        ax.plot(x, each.estimate.value, "o", ms=4, color=f"C{i}", label=label)
        ax.plot([x, x], each.estimate.interval, lw=1, color=f"C{i}")
        ax.plot(x, ceilings[each.layer, each.variable].value, "_", ms=7, color=f"C{i}")
        for null in each.estimate.nulls.values():
            ax.plot([x - 0.05] * 2, np.quantile(null, [0.025, 0.975]), lw=4, alpha=0.3, color="grey")
    ax.axvline(len(layers) - 0.5, color="grey", lw=0.8)
    ax.set_xticks(range(len(shown)), shown, rotation=30, ha="right", fontsize="small")
    ax.set_ylabel("unbiased CKA between tasks")
    ax.legend(frameon=False, fontsize="x-small", bbox_to_anchor=(1, 1), loc="upper left")
    show(
        figure,
        "Similarity of a layer's mean activities over the same clusters of posture in two tasks, and right of the line "
        "that of behaviour itself, with 95 % intervals over clusters; hollow: untrained; grey: clusters permuted; "
        "dashes: the noise ceiling.",
    )

# %%
shared = {(each.layer, each.variable) for each in beyond(alike)}
for pair in dict.fromkeys(each.variable for each in alike):
    of = {each.layer: each.estimate for each in alike if each.variable == pair}
    say(
        f"**{pair}.** Of the network, these answer the same postures alike in both, beyond permuted clusters at a "
        f"false discovery rate of 5 %: {listed([name for name in layers if (name, pair) in shared])}; of behaviour "
        f"itself {listed([name for name in features if (name, pair) in shared])}; "
        f"{listed([name for name in untrained if (name, pair) in shared])}.\n\n"
        + "\n".join(
            f"- {name}: {told(of[name], *of[name].nulls)}, at most {told(ceilings[name, pair])}"
            + (f"; untrained {told(of[fresh], *of[fresh].nulls)}" if (fresh := f"untrained {name}") in of else "")
            for name in layers
            if of[name].estimable
        )
    )

# %% [markdown]
# ## What can't be concluded
#
# - That a layer computes what it resembles: a fresh network resembles its senses, too. Only what beats the
#   untrained network is learnt.
# - Differences between families within a layer: they have unlike dimensions and noise; look at the ceilings.
# - A layer that treats two tasks alike may only inherit it: look at the families of features beside it.
# - Core against policy needs a recurrent agent.
