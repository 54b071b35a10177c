from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from policies.config import TrainConfig, to_yaml
from policies.curves import draw_curves, read_curves
from rodent.errors import UsageError


def write_run(folder: Path, seed: int, slope: float, **changes: object) -> Path:
    folder.mkdir(parents=True)
    config = TrainConfig(seeds=(seed,), run_dir=folder, **changes)  # type: ignore[arg-type]
    (folder / "config.yaml").write_text(to_yaml(config))
    rows = ["steps,seconds,reward,evaluation_return"]
    rows += [f"{100 * i},{60 * i},{slope * i}," for i in range(1, 11)]
    rows += [f"1000,630,,{100 * slope}"]
    (folder / "metrics.csv").write_text("\n".join(rows) + "\n12")  # a last line cut short
    return folder


def test_seeds_of_one_configuration_are_one_curve_with_an_interval(tmp_path: Path) -> None:
    for seed, slope in ((0, 1.0), (1, 2.0), (2, 3.0)):
        write_run(tmp_path / "run" / f"seed-{seed}", seed, slope)
    curve, evaluated = read_curves([tmp_path / "run"])
    assert (curve.label, curve.measure, curve.seeds) == ("run", "reward", 3)
    np.testing.assert_allclose(curve.mean, 2.0 * np.arange(1, 11))
    np.testing.assert_allclose(curve.minutes, np.arange(1, 11))
    half = 4.302653 * 1.0 / np.sqrt(3)  # Student's t with two degrees of freedom
    np.testing.assert_allclose((curve.high - curve.mean)[0], half, rtol=1e-5)
    np.testing.assert_allclose(evaluated.mean, [200])


def test_evaluations_of_seeds_that_were_made_at_other_steps_are_taken_in_their_order(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "a" / f"seed-{seed}", seed, 1.0) for seed in (0, 1)]
    for run, at in zip(runs, (1000, 1200), strict=True):
        rows = [f"{steps},{60 * i},1," for i, steps in enumerate((500, at))] + [f"{at},120,,{at / 10}"]
        (run / "metrics.csv").write_text("\n".join(["steps,seconds,reward,evaluation_return", *rows]) + "\n")
    (curve,) = (each for each in read_curves([tmp_path / "a"]) if each.measure == "evaluation_return")
    assert (curve.steps.tolist(), curve.minutes.tolist(), curve.mean.tolist()) == ([1100], [2], [110])
    draw_curves([tmp_path / "a"], tmp_path / "curve.png")


def test_a_chain_of_runs_that_began_with_each_other_ends(tmp_path: Path) -> None:
    for name, other in ("ab", "ba"):
        write_run(tmp_path / name, 0, 1.0, init_from=str(tmp_path / other))
    (curve,) = (each for each in read_curves([tmp_path / "a"], chain=True) if each.measure == "reward")
    assert np.isfinite(curve.mean).all()


def test_runs_given_one_by_one_are_taken_together_if_they_share_a_configuration(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, seed, 1.0) for seed, name in enumerate("ab")]
    other = write_run(tmp_path / "c", 0, 1.0, agent="lstm")
    assert [(c.label, c.seeds) for c in read_curves([*runs, other]) if c.measure == "reward"] == [("a", 2), ("c", 1)]


def test_seeds_of_a_chain_are_one_curve_though_each_began_with_a_run_of_its_own(tmp_path: Path) -> None:
    for seed in (0, 1):
        before = write_run(tmp_path / "before" / f"seed-{seed}", seed, 1.0)
        write_run(tmp_path / "run" / f"seed-{seed}", seed, 2.0, init_from=str(before))
    other = write_run(tmp_path / "other", 2, 2.0, init_from=str(tmp_path / "before" / "seed-0"))
    curves = [c for c in read_curves([tmp_path / "run", other], chain=True) if c.measure == "reward"]
    assert [(c.label, c.seeds, c.began) for c in curves] == [("run", 2, 1000), ("other", 1, 1000)]


def test_a_run_counts_once(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", 0, 1.0)
    with pytest.raises(UsageError, match="of the same configuration and seed, which count once"):
        read_curves([run, run])


def test_ends_before_the_time_limit_are_counted_over_spans_of_the_run(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", 0, 1.0)
    rows = ["steps,seconds,reward,ended.fell,ended.diverged,ended.time_limit"]
    rows += [f"{100 * i},{60 * i},1,{i % 2},1,5" for i in range(1, 401)]
    (run / "metrics.csv").write_text("\n".join(rows) + "\n")
    (curve,) = (each for each in read_curves([run]) if each.measure == "early_ends")
    np.testing.assert_allclose(curve.steps, 1000.0 * np.arange(1, 41))
    np.testing.assert_allclose(curve.mean, 15.0)  # ten by divergence and five by a fall in a thousand steps


def test_early_ends_of_a_task_are_counted_in_its_own_steps(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", 0, 1.0, task=("run", "two-tap"))
    rows = ["steps,seconds,run.reward,run.ended.fell,two-tap.reward,two-tap.ended.fell"]
    rows += [f"{1000 * i},{60 * i},1,1,1,3" for i in range(1, 401)]
    (run / "metrics.csv").write_text("\n".join(["reward," + rows[0], *("1," + row for row in rows[1:])]) + "\n")
    ends = {curve.measure: curve.mean[0] for curve in read_curves([run]) if curve.measure.endswith("early_ends")}
    assert ends == {"run.early_ends": 2, "two-tap.early_ends": 6}  # each task has 500 of the thousand steps of a row


def test_a_run_in_which_nothing_ended_early_has_no_curve_of_that_unless_another_seed_has(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "a" / f"seed-{seed}", seed, 1.0) for seed in (0, 1)]
    for run, falls in zip(runs, (0, 1), strict=True):
        rows = [f"{100 * i},{60 * i},1,{falls},1" for i in range(1, 401)]
        (run / "metrics.csv").write_text("\n".join(["steps,seconds,reward,ended.fell,ended.time_limit", *rows]) + "\n")
    assert [curve.measure for curve in read_curves(runs[:1])] == ["reward"]
    both = read_curves([tmp_path / "a"])
    assert [(curve.measure, curve.seeds, curve.mean[0]) for curve in both] == [("reward", 2, 1), ("early_ends", 2, 5)]


def test_what_led_to_a_run_stands_before_it_as_far_as_it_is_there_and_of_its_task(tmp_path: Path) -> None:
    runner = write_run(tmp_path / "runner", 0, 9.0)
    first = write_run(tmp_path / "first", 0, 1.0, task="two-tap", init_from=str(runner))
    second = write_run(tmp_path / "second", 0, 2.0, task="two-tap", init_from=str(first))
    last = write_run(tmp_path / "last", 0, 3.0, task="two-tap", init_from=str(second))
    alone, curve = (read_curves([last], chain)[0] for chain in (False, True))
    assert (len(alone.steps), alone.began, curve.began) == (10, 0, 2000)
    np.testing.assert_allclose(curve.steps, 100 * np.arange(1, 31))
    np.testing.assert_allclose(
        curve.minutes, np.concatenate([np.arange(1, 11), 10.5 + np.arange(1, 11), 21 + np.arange(1, 11)])
    )
    np.testing.assert_allclose(curve.mean, np.concatenate([s * np.arange(1, 11) for s in (1, 2, 3)]))
    draw_curves([last], tmp_path / "curves.png", chain=True)
    (first / "metrics.csv").unlink()
    assert read_curves([last], chain=True)[0].began == 1000


def test_a_single_seed_has_no_interval(tmp_path: Path) -> None:
    (curve, _) = read_curves([write_run(tmp_path / "a", 0, 1.0)])
    assert np.isnan(curve.low).all()


@pytest.mark.parametrize(("suffix", "signature"), [(".png", b"\x89PNG"), (".svg", b"<?xml")])
def test_curves_are_drawn(suffix: str, signature: bytes, tmp_path: Path) -> None:
    output = tmp_path / "new" / f"curves{suffix}"
    draw_curves([write_run(tmp_path / "a", 0, 1.0)], output)
    assert output.read_bytes().startswith(signature)


def test_curves_are_written_as_numbers(tmp_path: Path) -> None:
    draw_curves([write_run(tmp_path / "a", 0, 1.0)], tmp_path / "curves.csv")
    with (tmp_path / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 11
    assert rows[2] == {
        "run": "a", "measure": "reward", "seeds": "1", "steps": "300", "minutes": "3", "mean": "3",
        "low": "", "high": "",
    }  # fmt: skip


def test_what_is_no_run_or_no_picture_is_named(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", 0, 1.0)
    with pytest.raises(UsageError, match=r"must end in \.png, \.svg, \.csv"):
        draw_curves([run], tmp_path / "curves.gif")
    with pytest.raises(UsageError, match=r"nowhere is no run folder: it has no config\.yaml"):
        draw_curves([tmp_path / "nowhere"], tmp_path / "c.png")
    with pytest.raises(UsageError, match="cannot write curves"):
        draw_curves([run], run / "config.yaml" / "c.png")
    (run / "metrics.csv").write_text("steps,reward\n")
    with pytest.raises(UsageError, match="has measured nothing yet"):
        draw_curves([run], tmp_path / "c.png")
    for rows in (
        "steps,seconds,reward\n1,1,x\n",
        "steps,reward\n1,1\n",
        f'steps,seconds,reward\n1,1,"{"1" * 140_000}\n',
    ):
        (run / "metrics.csv").write_text(rows)
        with pytest.raises(UsageError, match=r"metrics\.csv is damaged"):
            draw_curves([run], tmp_path / "c.png")
