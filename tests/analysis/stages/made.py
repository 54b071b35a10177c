"""Made sessions whose answers are known, and how a stage is run on them."""

from types import SimpleNamespace

import numpy as np

from analysis.report.source import Source
from analysis.report.stages import STAGES


class Made(Source):
    """Units, senses and speed that differ between two tasks and are noise otherwise, in six episodes of each."""

    layers = ("policy.0",)
    task_names = ("two-tap", "run")

    def __init__(self):
        rng = np.random.default_rng(0)
        self.lengths, apart = np.full(12, 60), np.repeat([0.0, 6.0], 360)
        self.kinematics = {name: rng.normal(size=len(apart)) for name in ("turning (rad/s)", "height (m)")}
        self.kinematics = {"speed (m/s)": apart + rng.normal(size=len(apart)), **self.kinematics}
        self.activity, self.senses = (np.abs(apart[:, None] + rng.normal(size=(len(apart), 8))) for _ in range(2))
        self.tasks = np.where(apart > 0, "run", "two-tap")
        self.reward, self.landmarks, self.sight = rng.normal(size=len(apart)), {}, None
        self.session = SimpleNamespace(trials={"task": self.tasks[::60]})

    def layer(self, name, rows=None):
        return self.activity if rows is None else self.activity[rows]

    def series(self, name):
        return self.senses[:, ::-1]

    def events(self):
        return {}

    def joint(self, name):
        return np.cos(0.4 * np.arange(len(self.tasks)))


LAYERS = ("policy.0", "senses", "joint angles")


APART = ("speed (m/s)", "pose", "all families")  # what units and tasks go with


def run_stage(name, source):
    stages = {stage.name: stage for stage in STAGES}
    steps = len(source.episodes)
    doing = {"labels": np.arange(steps) % 60 // 30, "names": np.array(["1: walk", "2: rest"])}
    standing = getattr(source, "standing", np.ones((steps, 4), dtype=bool))
    earlier = {"gait": {"phase": np.full(steps, np.nan), "standing": standing}, "behaviour": doing}
    return stages[name].work(source, earlier, 0)


def noise(session, rows, seed, units=8):
    return {"policy.0": np.random.default_rng(seed).normal(size=(len(rows), units)).astype(np.float32)}


def noises(session, rows, seeds):
    return (noise(session, rows, seed) for seed in seeds)


class Turned(Made):
    """Senses that follow three dimensions of posture alike in both tasks, which a layer turns in one of them."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(4)
        turn = np.linalg.qr(rng.normal(size=(8, 8)))[0]
        path = np.sin(np.cumsum(rng.normal(size=(720, 3)), axis=0) / 2)
        self.posture = path + 0.01 * rng.normal(size=path.shape)
        answers = path @ rng.normal(size=(3, 8)) + 0.05 * rng.normal(size=(720, 8))
        self.activity = np.where((self.tasks == "run")[:, None], answers @ turn, answers)
        self.senses = answers
        self.series = lambda name: self.senses[:, ::-1]


class Few(Made):
    """Three units of twelve that follow the height; no direction of the layer follows it better than they do."""

    def __init__(self):
        super().__init__()
        rng = np.random.default_rng(5)
        del self.kinematics["speed (m/s)"]
        self.activity = rng.normal(size=(720, 12))
        self.activity[:, :3] += 3 * np.sin(2 * self.kinematics["height (m)"])[:, None]
        self.activity /= self.activity.std(axis=0)
        self.senses = rng.normal(size=(720, 8))


class Fast(Made):
    """A core that turns at 2 Hz and a policy that turns at 5, of which the latter alone goes with the posture."""

    layers = ("core.h", "policy.0")

    def __init__(self):
        super().__init__()
        rng, steps = np.random.default_rng(7), np.tile(np.arange(60), 12)
        self.values = {}
        for layer, cycles in (("core.h", (2, 1, 0.5)), ("policy.0", (5, 4, 3))):
            start = np.repeat(rng.uniform(0, 6, size=(12, 3)), 60, axis=0)
            turn = 2 * np.pi * 0.02 * steps[:, None] * np.array(cycles) + start
            path = np.concatenate([np.cos(turn), np.sin(turn)], axis=1)
            self.values[layer] = path @ rng.normal(size=(6, 8)) + 0.02 * rng.normal(size=(720, 8))
        self.senses = self.values["policy.0"] + 0.1 * rng.normal(size=(720, 8))

    def layer(self, name, rows=None):
        return self.values[name] if rows is None else self.values[name][rows]
