"""Tap an orb with a hand, wait, and tap it again: dm_control's `rodent_two_touch`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar

import mujoco
import numpy as np
import torch
from torch import Tensor

from rodent.arenas import compose_two_touch, found_sensor
from rodent.body import PREFIX, Body
from rodent.engine import State, recent_samples
from rodent.physics import CONTROL_TIMESTEP
from rodent.senses import PRIVILEGED, Sense, in_torso_frame, polar, speed_along
from rodent.tasks.base import Memory, Path, Start, Task, physics_spec
from rodent.tasks.parameters import SWITCH, Admissible, Range, bounds, parameter

if TYPE_CHECKING:
    from dm_control import composer

REACH = 0.1  # m; so near the torso, along the ground, that a hand can be on the orb
NEAR = 0.1  # m; over which a hand's nearness to the orb falls to 1/e
ASIDE = 0.03  # m; a raised hand is so far from the midline, and a rat that noses an orb has it between its hands
FAR = 2.0  # m; an orb that is farther is sensed as from so far, since a rat that seldom met one so far lies down
DEBOUNCE = 0.2  # s; a touch so soon after the first one is not a second one
TAP_REWARD = 25.0
_ORB = "target_0_0/geom"  # the model's last geom
_TEXTURES = tuple(f"target_0_0/target_sphere_{name}" for name in ("init", "inter", "final"))
_HANDS = tuple(f"{PREFIX}{name}" for name in ("hand_L", "hand_R"))


class Phase(IntEnum):
    """dm_control's `TwoTouchState`: where between two orbs an episode is."""

    UNTAPPED = 0
    TAPPED_ONCE = 1
    TAPPED_TWICE = 2
    TAPPED_TOO_SOON = 3
    NO_SECOND_TAP = 4


@dataclass(frozen=True)
class TwoTap(Task):
    """Reward a step: `0.25 exp(-3 d)`, d the hands' smaller L1 distance from the orb in m, and 25 for each good tap.

    The first tap is good whenever it comes, the second one `touch_interval +- interval_tolerance` after it; then a new
    orb takes the old one's place. After a second tap too soon, or none in time, that takes `failure_timeout` longer.
    A touch counts at any physics step.
    """

    name: ClassVar[str] = "two-tap"
    summary: ClassVar[str] = "tap an orb with a hand twice, 0.7 to 0.9 s apart, and find the next one"
    expanded: ClassVar[tuple[str, ...]] = ("geom_pos",)
    shown: ClassVar[tuple[str, ...]] = ("orb", "touched", "touched_again")

    # From a range, each episode draws one.
    touch_interval: Range = parameter(0.8, Admissible(0, 10, "s", "range"))  # from the first tap to the second
    interval_tolerance: Range = parameter(0.1, Admissible(0, 10, "s", "range"))  # more or less
    orb_height: Range = parameter(0.14, Admissible(0.03, 1, "m", "range"))
    orb_distance: float = parameter(1.5, Admissible(0, 5, "m"))  # of an orb from the origin along x and y, at most
    failure_timeout: float = parameter(1.2, Admissible(0, 60, "s"))
    reset_delay: float = parameter(0.0, Admissible(0, 60, "s"))
    cue: bool = parameter(False, SWITCH)  # add dm_control's observable `task_logic`, the phase

    @property
    def max_return(self) -> float:
        """A bound that cannot be reached: a hand that is always on an orb, and taps in the shortest time.

        Pairs of them, or first ones alone where orbs that are not tapped again are sooner replaced.
        """
        pairs = max(DEBOUNCE, bounds(self.touch_interval)[0] - bounds(self.interval_tolerance)[1])
        taps = max(2 * round(self.time_limit / pairs), math.ceil(self.time_limit / self._shortest_failure))
        return 0.01 * TAP_REWARD * self.step_limit + TAP_REWARD * taps

    @property
    def _shortest_failure(self) -> float:
        """How soon, s, an orb goes that is not tapped again: judged, forgiven and removed in a step each."""
        return max(
            bounds(self.touch_interval)[0] + bounds(self.interval_tolerance)[0] + self.failure_timeout,
            3 * CONTROL_TIMESTEP,
        )

    @property
    def reward_range(self) -> tuple[float, float]:
        return 0.0, 1.01 * TAP_REWARD

    def compose(self) -> composer.Task:
        task = compose_two_touch()
        task.task_observables["task_logic"].enabled = self.cue
        return task

    def instruct(self, composed: composer.Task, remembered: Mapping[str, np.ndarray]) -> None:
        composed.orbs = iter(remembered["places"].ravel())
        composed._target_area = (self.orb_distance, self.orb_distance)
        composed._z_height = float(remembered["orb"][2])
        composed._touch_interval = float(remembered["interval"])
        composed._interval_tolerance = float(remembered["tolerance"])
        composed._failure_timeout = self.failure_timeout
        composed._reset_delay = self.reset_delay

    def build(self, arena: None, substeps: int = 20) -> mujoco.MjModel:
        spec = physics_spec(self).copy()
        for hand in _HANDS:
            found_sensor(spec, f"orb on {hand}", _ORB, hand, substeps)
        model = spec.compile()
        model.geom_sameframe[model.geom(_ORB).id] = 0  # or MuJoCo would not read the place that each simulation has
        return model

    def dress(self, scene: mujoco.MjModel, memory: Memory) -> None:
        orb = scene.geom(_ORB).id
        scene.geom_pos[orb] = memory["orb"].numpy()
        scene.geom_sameframe[orb] = 0
        colour = int(memory["touched"]) + int(memory["touched_again"])
        scene.mat_texid[scene.geom_matid[orb], int(mujoco.mjtTextureRole.mjTEXROLE_RGB)] = scene.texture(
            _TEXTURES[colour]
        ).id

    def start(self, model: mujoco.MjModel, body: Body, rng: np.random.Generator) -> Start:
        qpos = model.qpos0.copy()
        half = np.pi * rng.uniform()
        qpos[body.root_qpos : body.root_qpos + 7] = (0, 0, 0, np.cos(half), 0, 0, np.sin(half))
        return Start(qpos, np.zeros(model.nv))

    def begin(self, model: mujoco.MjModel, rng: np.random.Generator) -> dict[str, np.ndarray]:
        interval, tolerance, height = (
            rng.uniform(*bounds(each)) for each in (self.touch_interval, self.interval_tolerance, self.orb_height)
        )
        # Every orb the episode can need, drawn beforehand.
        shortest = math.floor(min(DEBOUNCE, self._shortest_failure) / CONTROL_TIMESTEP)
        places = rng.uniform(-1, 1, (2 + self.step_limit // shortest, 2))
        return {
            "places": places,  # in units of `orb_distance`
            "orb": np.array([*(self.orb_distance * places[0]), height]),  # m, where the present orb stands
            "orbs": np.array(0),  # how many have been replaced
            "interval": np.array(interval),  # s
            "tolerance": np.array(tolerance),  # s
            "phase": np.array(int(Phase.UNTAPPED)),
            "seen_phase": np.array(int(Phase.UNTAPPED)),  # what the observation shows: the phase before it was judged
            "touched": np.array(False),  # the present orb, by a hand
            "touched_again": np.array(False),  # more than the debounce later
            "touch_time": np.array(0.0),  # s, at which it was first touched
            "first_time": np.array(0.0),  # s, end of the control step of the first tap
            "second_time": np.array(0.0),  # s, and of the second one or of the end of its window
            "timed_out": np.array(False),  # waiting for `failure_timeout` to end
            "due": np.array(False),  # a new orb comes before the next control step
            "renewed": np.array(False),  # a new orb came before the last control step
            "first_tap": np.array(False),  # rewarded in the last control step
            "second_tap": np.array(False),
            "awaited": np.array(True),  # by the end of this control step a tap would be good
        }

    def prepare(self, state: State) -> None:
        """Put new orbs where they are due."""
        memory = state.memory
        due = memory["due"].clone()
        memory["orbs"] += due
        rows, last = torch.arange(len(due)), memory["places"].shape[1] - 1
        place = self.orb_distance * memory["places"][rows, memory["orbs"].clamp(max=last)]
        memory["orb"][:, :2] = torch.where(due[:, None], place, memory["orb"][:, :2])
        memory["phase"][due] = int(Phase.UNTAPPED)
        for name in ("touched", "touched_again", "timed_out", "due"):
            memory[name][due] = False
        for name in ("first_tap", "second_tap"):
            memory[name][:] = False
        memory["renewed"].copy_(due)
        waited = state.time + CONTROL_TIMESTEP - memory["first_time"]
        open_ = (memory["phase"] == Phase.TAPPED_ONCE) & (waited >= _earliest(memory))
        memory["awaited"].copy_(open_ | (memory["phase"] == Phase.UNTAPPED))
        state.model["geom_pos"][:, -1] = memory["orb"]

    def advance(self, state: State) -> Tensor:
        """Notice touches and judge them, as dm_control's orb and then its task do.

        dm_control changes the orb's texture at a touch, or its place, in a way that makes it run a full forward pass.
        """
        memory = state.memory
        memory["seen_phase"].copy_(memory["phase"])
        before = memory["touched"].int() + memory["touched_again"].int()
        _notice_touches(state)
        self._judge(state.time, memory)
        return memory["renewed"] | (memory["touched"].int() + memory["touched_again"].int() != before)

    def _judge(self, now: Tensor, memory: Memory) -> None:
        phase = memory["phase"].clone()
        once, over = phase == Phase.TAPPED_ONCE, phase >= Phase.TAPPED_TWICE
        waited, timed_out = now - memory["first_time"], memory["timed_out"].clone()
        earliest, latest = _earliest(memory), memory["interval"] + memory["tolerance"]

        first = (phase == Phase.UNTAPPED) & memory["touched"]
        second = once & memory["touched_again"]
        too_soon, too_late = second & (waited < earliest), once & (waited > latest)
        memory["first_tap"].copy_(first)
        memory["second_tap"].copy_(second & ~too_soon & (waited <= latest))
        for happened, becomes in (
            (first, Phase.TAPPED_ONCE),
            (second, Phase.TAPPED_TWICE),
            (too_soon, Phase.TAPPED_TOO_SOON),
            (too_late, Phase.NO_SECOND_TAP),
        ):
            memory["phase"][happened] = int(becomes)

        ended = memory["second_time"].clone()
        memory["first_time"].copy_(torch.where(first, now, memory["first_time"]))
        memory["second_time"].copy_(torch.where(second | too_late, now, ended))
        forgiven = over & timed_out & (now > ended + self.failure_timeout)
        memory["timed_out"].copy_((timed_out | too_soon | too_late) & ~forgiven)
        memory["due"] |= over & ~timed_out & (now > ended + self.reset_delay)

    def rewards(self, state: State, body: Body) -> dict[str, Tensor]:
        memory = state.memory
        offset = (state.xpos[:, torch.from_numpy(body.paws[:2])] - memory["orb"][:, None]).abs()
        distance = offset[..., 0] + offset[..., 1] + offset[..., 2]
        return {
            "closeness": 0.01 * (-3.0 * distance).exp().amax(1) * TAP_REWARD,
            "first_tap": TAP_REWARD * memory["first_tap"].double(),
            "second_tap": TAP_REWARD * memory["second_tap"].double(),
        }

    def outcomes(self, body: Body, paths: Sequence[Path]) -> dict[str, np.ndarray]:
        """What the rewards tell of the taps.

        first_taps: mean number an episode; second_tap_fraction: second taps in their window per first tap, over all
        episodes. Neither can be estimated where the parameters let another orb be tapped for the first time while the
        window could still be open, so that the two cannot be told apart.
        """
        window = bounds(self.touch_interval)[1] + bounds(self.interval_tolerance)[1]
        if DEBOUNCE + self.failure_timeout <= window:
            return dict.fromkeys(("first_taps", "second_tap_fraction"), np.zeros((len(paths), 2)))
        firsts, seconds = np.array([_count_taps(path.rewards, window) for path in paths]).T
        return {
            "first_taps": np.stack([firsts, np.ones(len(paths))], axis=1),
            "second_tap_fraction": np.stack([seconds, firsts], axis=1),
        }

    def progress(self, state: State, body: Body) -> Tensor:
        """Towards the orb; nothing where a hand can reach it."""
        offset = state.memory["orb"] - state.xpos[:, body.torso]
        return speed_along(offset, state, body) * (offset[:, :2].norm(dim=1) > REACH)

    def nearness(self, state: State, body: Body) -> Tensor:
        """Of a hand to the orb; 1 after a good tap, and where none would be good at the end of the control step.

        It is decided as a step begins where none would be: that a tap falls due, or its window ends, changes nothing.
        """
        memory = state.memory
        hands = state.xpos[:, torch.from_numpy(body.paws[:2])]
        distance = (hands - memory["orb"][:, None]).norm(dim=-1).amin(1)
        tapped = memory["first_tap"] | memory["second_tap"]
        return torch.where(memory["awaited"] & ~tapped, (-distance / NEAR).exp(), 1.0)

    def haste(self, state: State) -> Tensor:
        memory = state.memory
        now = (memory["phase"] == Phase.TAPPED_TOO_SOON) & (memory["seen_phase"] == Phase.TAPPED_ONCE)
        waited = memory["second_time"] - memory["first_time"]
        return torch.where(now, _earliest(memory) - waited, 0.0)

    def privileged(self, body: Body) -> tuple[Sense, ...]:
        def orb(state: State) -> Tensor:
            return in_torso_frame(state.memory["orb"] - state.xpos[:, body.torso], state, body)

        def orb_from_side(state: State) -> Tensor:
            offset = orb(state)
            aside = torch.stack([offset[:, 0], offset[:, 1] - ASIDE * offset[:, 1].sign(), offset[:, 2]], dim=1)
            return aside * (FAR / aside.norm(dim=1, keepdim=True)).clamp(max=1)

        def phase(state: State) -> Tensor:
            return torch.nn.functional.one_hot(state.memory["phase"], len(Phase)).double()

        def waited(state: State) -> Tensor:
            waiting = state.memory["phase"] == Phase.TAPPED_ONCE
            return torch.where(waiting, state.time - state.memory["first_time"], 0.0)[:, None]

        return (
            Sense(f"{PRIVILEGED}orb", 3, "m", orb),
            Sense(f"{PRIVILEGED}orb_from_side", 3, "m, 2 at most, from 3 cm to its side of the midline", orb_from_side),
            Sense(f"{PRIVILEGED}phase", len(Phase), "1 for the present phase, 0 for others", phase),
            Sense(f"{PRIVILEGED}waited", 1, "s since the first tap", waited),
        )

    def landmarks(self, body: Body) -> tuple[Sense, ...]:
        """Distance and bearing of the present orb."""
        return polar("orb", lambda state: state.memory["orb"] - state.xpos[:, body.torso], body)

    def recall(self, composed: composer.Task, physics: Any, memory: Memory) -> None:
        memory["orb"][0] = torch.from_numpy(physics.bind(composed._targets[0][0].geom).pos.copy())
        memory["phase"][0] = int(composed._state_logic)
        memory["first_time"][0] = composed._first_touch_time or 0.0

    def cues(self, body: Body) -> tuple[Sense, ...]:
        if not self.cue:
            return ()
        return (Sense("task_logic", 1, "phase (0 to 4)", lambda state: state.memory["seen_phase"][:, None].double()),)


def _count_taps(rewards: np.ndarray, window: float) -> tuple[int, int]:
    """Good first and second taps in an episode's rewards: a tap within `window` s of a first one is its second."""
    firsts, seconds, first_at = 0, 0, -math.inf
    for at in np.flatnonzero(rewards >= TAP_REWARD) * CONTROL_TIMESTEP:
        if at - first_at < window + CONTROL_TIMESTEP / 2:
            seconds, first_at = seconds + 1, -math.inf
        else:
            firsts, first_at = firsts + 1, at
    return firsts, seconds


def _earliest(memory: Memory) -> Tensor:
    """How long after the first tap, s, a second one is not too soon any more, (envs,)."""
    return memory["interval"] - memory["tolerance"]


def _notice_touches(state: State) -> None:
    """Bring `touched` and `touched_again` up to date, physics step by physics step."""
    memory = state.memory
    found, times = recent_samples(state, len(_HANDS))
    on_orb = (found > 0).any(1)  # (envs, substeps)
    first = on_orb.any(1) & ~memory["touched"]
    time = times.gather(1, on_orb.int().argmax(1, keepdim=True))[:, 0]
    memory["touch_time"].copy_(torch.where(first, time, memory["touch_time"]))
    memory["touched"] |= first
    again = on_orb & (times > (memory["touch_time"] + DEBOUNCE)[:, None])
    memory["touched_again"] |= memory["touched"] & again.any(1)
