"""The standard set, in the order in which it is shown."""

from analysis.report.behaviour_map import NAME as MAP
from analysis.report.stage import Stage
from analysis.report.stages.alignment import alignment
from analysis.report.stages.axes import axes
from analysis.report.stages.behaviour import behaviour
from analysis.report.stages.decoding import decoding
from analysis.report.stages.dimensions import dimensions
from analysis.report.stages.dynamical_similarity import dynamical_similarity
from analysis.report.stages.dynamics import dynamics
from analysis.report.stages.encoding import encoding
from analysis.report.stages.factors import factors
from analysis.report.stages.gait import gait
from analysis.report.stages.information import information
from analysis.report.stages.overview import overview
from analysis.report.stages.sequences import sequences
from analysis.report.stages.similarity import similarity
from analysis.report.stages.strongest_units import strongest_units
from analysis.report.stages.tangling import tangling
from analysis.report.stages.task_variance import task_variance
from analysis.report.stages.timescales import timescales
from analysis.report.stages.trajectories import trajectories
from analysis.report.stages.tuning import tuning
from analysis.report.stages.tuning_maps import tuning_maps

STAGES = (
    Stage("overview", "Episodes", overview),
    Stage("behaviour", "Behaviour", behaviour, (MAP,), heavy=True),
    Stage("gait", "Gait", gait),
    Stage("tuning", "Tuning of units", tuning, ("gait",), beside_untrained=True),
    Stage("tuning_maps", "Tuning of units to two variables", tuning_maps, ("gait",), beside_untrained=True),
    Stage("information", "Information of units", information, ("gait",), beside_untrained=True, heavy=True),
    Stage("strongest_units", "The strongest units beside every control", strongest_units, ("gait",), heavy=True),
    Stage("encoding", "What units encode", encoding, ("behaviour",), beside_untrained=True, heavy=True),
    Stage("decoding", "What layers tell", decoding, ("behaviour",), beside_untrained=True, heavy=True),
    Stage("timescales", "Timescales of units", timescales, beside_untrained=True),
    Stage("sequences", "Sequences around events", sequences, ("gait",), beside_untrained=True, heavy=True),
    Stage("task_variance", "Units and tasks", task_variance, beside_untrained=True),
    Stage("dimensions", "Dimensions", dimensions, beside_untrained=True),
    Stage("trajectories", "Trajectories by behaviour", trajectories, ("behaviour",), True),
    Stage("factors", "Shared variance", factors, beside_untrained=True),
    Stage("axes", "Demixed and targeted axes", axes, ("gait",), beside_untrained=True),
    Stage("alignment", "Alignment between tasks", alignment, beside_untrained=True),
    Stage("dynamics", "Dynamics: rotations, flow, modes", dynamics, beside_untrained=True, heavy=True),
    Stage("tangling", "Tangling", tangling, beside_untrained=True),
    Stage("similarity", "Similarity of layers and behaviour", similarity, ("behaviour",), beside_untrained=True),
    Stage("dynamical_similarity", "Similarity of dynamics (DSA)", dynamical_similarity, optional=True),
)
