"""The standard set, in the order in which it runs."""

from analysis.report.stage import Stage
from analysis.report.stages.behaviour import behaviour
from analysis.report.stages.dimensions import dimensions
from analysis.report.stages.gait import gait
from analysis.report.stages.overview import overview
from analysis.report.stages.tuning import tuning

STAGES = (
    Stage("overview", "Episodes", overview),
    Stage("behaviour", "Behaviour", behaviour),
    Stage("gait", "Gait", gait),
    Stage("tuning", "Tuning of units", tuning, ("gait",)),
    Stage("dimensions", "Dimensions and trajectories", dimensions),
)
