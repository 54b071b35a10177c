"""One map of behaviour over the sessions of a report, and that of an earlier report."""

import json

import numpy as np
import pandas as pd
import pytest

from analysis.behaviour_map import load_map, pooled
from analysis.nwb_record import record
from analysis.report.analyze import analyze
from rodent.cli import main


def test_the_map_of_behaviour_does_not_cut_a_steady_stride_into_phases():
    """Amplitudes that rise and fall with strides of 13 steps, at two speeds, in two episodes of unlike height."""
    steps = np.arange(400)
    episodes = np.repeat([0, 1], 200)
    slow = np.where(steps % 200 < 100, 0.0, 1.0) + 10.0 * episodes
    found = pooled((slow + np.sin(2 * np.pi * steps / 13))[:, None], episodes)[:, 0]
    far = np.abs(steps % 200 - 100) > 13
    assert np.abs(found - slow)[far & (steps % 200 > 13) & (steps % 200 < 186)].max() < 0.1
    assert np.abs(found - slow).max() < 2  # nothing comes over from the other episode


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """Two sessions of the shipped policy, whose episodes are long enough for a map."""
    folder = tmp_path_factory.mktemp("halves")
    return [
        record("run", folder / f"{name}.nwb", ["run"], 3, seed=seed, steps=110, threads=1)
        for seed, name in enumerate(("one", "two"))
    ]


@pytest.fixture(scope="module")
def mapped(halves, tmp_path_factory):
    output = tmp_path_factory.mktemp("mapped")
    return analyze(halves, output, ("behaviour",)), output


def told(output, stage="behaviour"):
    return pd.read_csv(output / "tables" / f"{stage}.csv")


def test_several_sessions_share_the_behaviours_of_one_map(mapped):
    done, output = mapped
    assert [stage["failure"] for stage in done["stages"] if stage["failure"]] == []
    shares = told(output)[lambda rows: rows.measure == "share of time"]
    of = {name: part.variable.tolist() for name, part in shares.groupby("session")}
    assert (
        of["one"] == of["two"] and len(of["one"]) > 1
    )  # each behaviour by the same name, also where there is none of it
    assert shares.groupby("session").value.sum().to_numpy() == pytest.approx(1)
    over = told(output, "seeds")
    assert over.measure.eq("numbers over seeds").any()  # these are of one network, of which none is a seed
    with np.load(output / "results" / "one and two" / "behaviour_map.npz", allow_pickle=False) as arrays:
        assert len(arrays["map.places"]) == 660 and (output / "figures" / "one" / "behaviour.map.png").is_file()


def test_clusters_of_another_method_stand_beside_the_regions(mapped):
    rows = told(mapped[1], "behaviour_map")
    assert set(rows.session) == {"one and two"}
    agreement = rows[rows.measure.str.startswith("agreement of watershed")]
    assert agreement.control.tolist() == ["rolled labels"] and agreement.low.item() < agreement.high.item()
    counts = rows[rows.measure == "regions of the map"].set_index("variable").value
    assert counts["watershed"] >= 2 and "HDBSCAN" in counts
    ones = rows[rows.measure.str.contains("most frequent cluster")]
    assert ones.value.between(0, 1).all() and len(ones) >= 2
    assert (mapped[1] / "figures" / "one and two" / "behaviour_map.clusters.png").is_file()


def test_a_session_is_placed_in_the_map_of_an_earlier_report(halves, mapped, tmp_path, capsys):
    main(
        [
            "analyze",
            str(halves[0]),
            "-o",
            str(tmp_path),
            "--stages",
            "behaviour",
            "--map-into",
            str(mapped[1]),
            "--json",
        ]
    )
    done = json.loads(capsys.readouterr().out)
    assert [stage["failure"] for stage in done["stages"] if stage["failure"]] == []
    arrays = [np.load(folder / "results" / "one" / "behaviour.npz") for folder in (mapped[1], tmp_path)]
    assert (arrays[0]["names"] == arrays[1]["names"]).all()
    assert (arrays[0]["labels"] == arrays[1]["labels"]).mean() > 0.9
    near = told(tmp_path, "behaviour_map")
    assert near.measure.str.startswith("share of steps as near").all() and near.value.item() > 0.5
    # and the new report's map is the earlier one: a third may be placed in it
    assert load_map(tmp_path).keys() >= {"map.places", "names"}


def test_a_map_of_other_joints_ends_with_one_line(halves, mapped, tmp_path, capsys):
    (path,) = (mapped[1] / "results").glob("*/behaviour_map.npz")
    arrays = load_map(path)
    np.savez(tmp_path / "behaviour_map.npz", **{**arrays, "map.joints": arrays["map.joints"][::-1]})
    with pytest.raises(SystemExit) as exit_:
        main(
            [
                "analyze",
                str(halves[0]),
                "-o",
                str(tmp_path / "report"),
                "--map-into",
                str(tmp_path / "behaviour_map.npz"),
            ]
        )
    told = capsys.readouterr().err.strip().splitlines()
    assert exit_.value.code == 2 and not (tmp_path / "report").exists()
    assert "the map of behaviour is of other joints than one: they are in another order" in told[-1]
