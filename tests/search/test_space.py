"""A space says what its points are; what it cannot mean is refused by name, before anything is trained."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from refusals import refuses
from searches import SWEEP, TINY, tiny

from zoo.search import objective, space_files
from zoo.search.objective import Objective
from zoo.search.space import check, key

POINT = {
    "n_conv_layer": 4, "n_add_layer": 1, "num_filters1": 128, "num_filters2": 60, "num_filters3": 60,
    "num_filters4": 30, "kernel_size1": 7, "kernel_size2": 3, "kernel_size3": 3, "kernel_size4": 7,
    "dense_neurons1": 256, "dropout_prob": 0.4, "batch_size": 128, "epochs": 100, "lr": 0.002, "early_stop": 10,
}  # fmt: skip
"""The winner of the study, by its own names."""


def test_the_space_of_the_study_has_its_points_and_inert_settings_count_once() -> None:
    space = space_files.of_model("deepstarr")
    raw = 1
    for parameter in space.parameters:
        raw *= len(parameter.domain.options or ())
    assert raw == 429_981_696
    # layer 4 and the dense layers that are not there: (3 layers + 4 layers x 12) x (3 + 9 + 27) x the rest
    assert space.size() == (1 + 12) * (3 + 9 + 27) * (2 * 4) * (4 * 3) ** 2 * 3 * (2 * 2 * 4 * 4) == 112_140_288
    assert check(space) == []


def test_the_winner_of_the_study_is_the_variant_tuned() -> None:
    space = space_files.of_model("deepstarr")
    assert space.config(POINT) == space.plugin.VARIANTS["tuned"]
    settings = space.train_config(POINT, seed=3)
    assert (settings.learning_rate, settings.batch_size, settings.epochs, settings.patience) == (0.002, 128, 100, 10)
    assert settings.seed == 3


def test_the_studys_sweep_is_the_space_that_comes_with_the_model() -> None:
    swept, ours = space_files.from_sweep(SWEEP), space_files.of_model("deepstarr")
    assert {one.name: one for one in swept.parameters} == {one.name: one for one in ours.parameters}
    assert (swept.architecture, swept.metrics, swept.sweep) == ("deepstarr", ("pearson:dev",), {"sampler": "tpe"})
    assert swept.config(POINT) == ours.config(POINT)


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_a_sweep_is_read_from_a_file(tmp_path: Path, suffix: str) -> None:
    yaml = pytest.importorskip("yaml")
    path = tmp_path / f"sweep.{suffix}"
    text = json.dumps(SWEEP) if suffix == "json" else yaml.safe_dump(SWEEP).replace("0.0001", "1e-4")
    path.write_text(text)
    spaces = space_files.read_sweep(path), space_files.from_sweep(SWEEP)
    found, expected = ({one.name: one for one in space.parameters} for space in spaces)
    assert found == expected


def test_ranges_and_constants_of_a_sweep_and_what_it_leaves_out() -> None:
    space = space_files.from_sweep(
        {
            "method": "random",
            "run_cap": 7,
            "early_terminate": {"type": "hyperband", "min_iter": 3},
            "name": "mine",
            "parameters": {
                "lr": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-2},
                "dropout_prob": {"min": 0.1, "max": 0.5},
                "num_filters1": {"min": 16, "max": 64},
                "batch_size": {"value": 32},
            },
        }
    )
    assert space.sweep == {"sampler": "random", "pruner": "hyperband", "min_iter": 3, "name": "mine", "trials": 7}
    domains = {one.name: one.domain for one in space.parameters}
    assert (domains["lr"].log, domains["dropout_prob"].whole, domains["num_filters1"].whole) == (True, False, True)
    point = {"lr": 1e-3, "dropout_prob": 0.2, "num_filters1": 20, "batch_size": 32}
    assert space.config(point).filters == (20, 60, 60, 120)
    assert space.protocol == {"batch_size": 32}


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        ({"program": "train.py"}, ["'program'", "method, metric, parameters"]),
        ({"method": "hill"}, ["method", "bayes, random, grid", "'hill'"]),
        ({"method": ["grid"]}, ["method", "bayes, random, grid", "['grid']"]),
        ({"parameters": {3: {"value": 1}}}, ["'3'"]),
        ({"parameters": {"lr": {"distribution": ["uniform"]}}}, ["lr", "distribution", "constant", "['uniform']"]),
        ({"metric": {"name": "valid_acc_dev", "goal": "maximize"}}, ["'valid_acc_dev'"]),
        ({"metric": {"name": "train_pcc_dev"}}, ["'train_pcc_dev'", "valid_METRIC_TARGET", "pcc, scc, mse, r2"]),
        (
            {"metric": {"name": "valid_pcc_dev", "goal": "minimize"}},
            ["goal", "maximize", "valid_pcc_dev", "'minimize'"],
        ),
        ({"metric": {"name": "valid_mse_dev", "target": 1}}, ["metric", "'target'"]),
        ({"parameters": {"num_filtres1": {"value": 1}}}, ["'num_filtres1'", "num_filters1?", "n_conv"]),
        ({"parameters": {"lr": {"values": []}}}, ["lr", "choices"]),
        ({"parameters": {"lr": {"values": [1], "probabilities": [1]}}}, ["lr", "'probabilities'"]),
        (
            {"parameters": {"lr": {"values": [1, 2], "min": 1}}},
            ["lr", "value", "max", "got values and min"],
        ),
        ({"parameters": {"lr": {"value": 1, "values": [2]}}}, ["lr", "values", "min", "max"]),
        ({"parameters": {"lr": {}}}, ["lr", "values", "min", "max"]),
        (
            {"parameters": {"dropout_prob": {"distribution": "q_uniform", "min": 0, "max": 0.5}}},
            ["dropout_prob", " q", "got min and max"],
        ),
        ({"parameters": {"lr": {"min": 1, "max": "a"}}}, ["lr", "got 1 and 'a'"]),
        ({"parameters": {"lr": {"distribution": "beta"}}}, ["lr", "distribution", "constant, categorical", "'beta'"]),
        (
            {"parameters": {"lr": {"value": 1}, "batch_size": {"distribution": "int_uniform", "min": 1.5, "max": 3}}},
            ["batch_size", "1.5", "3"],
        ),
        ({"parameters": {"batch_size": {"value": 64}}}, ["deepstarr", "malinois", "--model"]),
        ({"parameters": {"lr": {"min": 2, "max": 1}}}, ["lr", "2", "1"]),
        ({"early_terminate": {"type": "envelope"}}, ["early_terminate", "hyperband", "'envelope'"]),
        ({"early_terminate": {"type": "hyperband", "s": 2}}, ["early_terminate", "'s'"]),
        ({"parameters": {"dense_neurons3": {"value": 8}, "n_add_layer": {"value": 4}}}, ["n_add_layer", "4"]),
    ],
)
def test_what_a_sweep_cannot_say_is_refused_by_name(change: dict[str, Any], facts: list[str]) -> None:
    with refuses(*facts):
        space_files.from_sweep({**SWEEP, **change})


@pytest.mark.parametrize(
    ("old", "new", "facts"),
    [
        ("dropout =", "dropuot =", ["[model]", "'dropuot'", "dropout?", "dense_units"]),
        ("learning_rate", "lr", ["[train]", "'lr'", "learning_rate"]),
        ("[4, 8]", "[]", ["[model], filters, entry 1", "choices"]),
        ("[4, 8]", "[4, 4]", ["[model], filters, entry 1", "choices", "[4, 4]"]),
        ("[train]", "[training]", ["tiny.toml", "'training'", "[model], [train], [objective]"]),
        (
            "choices = [4, 6]",
            "values = [4, 6]",
            ["[model], filters, entry 2", "'values'", "choices, low, high, log, step"],
        ),
        ("choices = [1, 2]", "choices = [1, 3]", ["layers", "3", "filters", "2"]),
        ('["filters", "kernel_sizes"]', '["filtres"]', ["[model], layers", "entries_of", "'filtres'"]),
        ("low = 1e-4", "low = 0.0", ["[train], learning_rate", "low", "log", "0.0"]),
        ('"deepstarr"', '"deepstar"', ["'deepstar'", "deepstarr?"]),
        ("sequence_length = 40", "sequence_length = { choices = [40] }", ["sequence_length"]),
        ("[model]", "[[model", ["tiny.toml", "TOML"]),
        ("\n[model]", "objective = 3\n[model]", ["tiny.toml", "[objective]", "3"]),
        ("[train]", "[objective]\nmetric = 3\n[train]", ["[objective]", "metric", "3"]),
        ('"deepstarr"', "3", ["[model]", "architecture", "3"]),
        ('["filters", "kernel_sizes"]', "3", ["[model], layers", "entries_of", "3"]),
        ('["filters", "kernel_sizes"]', '["dropout"]', ["layers", "dropout"]),
        ("choices = [1, 2]", "choices = [-1, 2]", ["layers", "1"]),
        ("choices = [1, 2]", 'choices = ["a"]', ["layers", "1"]),
        (
            "epochs = 3",
            "epochs = { low = 1, high = 9223372036854775807 }",
            ["[train], epochs", "9,007,199,254,740,992"],
        ),
        ("log = true", 'log = "no"', ["[train], learning_rate", "log", "'no'"]),
        ("log = true", "log = true, name = 3", ["[train], learning_rate", "name", "3"]),
        ("log = true", "logg = true", ["[train], learning_rate", "'logg'", "log?", "choices, low"]),
        ("[4, 8]", "[1, true]", ["[model], filters, entry 1", "choices", "[1, True]"]),
        ("[4, 8]", "[1979-05-27]", ["[model], filters, entry 1", "choices", "datetime.date(1979, 5"]),
    ],
)
def test_what_a_space_cannot_say_is_refused_by_name(tmp_path: Path, old: str, new: str, facts: list[str]) -> None:
    assert old in TINY
    with refuses(*facts):
        space_files.read(tiny(tmp_path, **{old: new}))


def test_a_wide_range_of_whole_numbers_is_counted_not_listed(tmp_path: Path) -> None:
    space = space_files.read(tiny(tmp_path, **{"epochs = 3": "epochs = { low = 1, high = 1_000_000_000_000 }"}))
    assert space.most_epochs() == 10**12
    assert dataclasses.replace(space, parameters=space.parameters[-2:-1]).size() == 10**12
    with refuses("epochs"):
        space_files.read(tiny(tmp_path, **{"epochs = 3": "epochs = { low = 1.5, high = 3.5 }"})).most_epochs()


def test_impossible_points_are_named_before_the_first_trial(tmp_path: Path) -> None:
    short = space_files.read(tiny(tmp_path, **{"sequence_length = 40": "sequence_length = 3"}))
    short = dataclasses.replace(short, source="tiny.toml")
    with refuses("tiny.toml", "kernel_sizes1 5", "convolution 1", "--skip-impossible"):
        check(short)
    with refuses("layers 2", "sequence_length", 4):
        check(short.fixed("kernel_sizes", [3, 3]))
    long_kernel = space_files.of_model("deepstarr").fixed("sequence_length", 24)
    with refuses("kernel_size4 5", "convolution 4", 3):
        check(long_kernel)


def test_impossible_points_may_be_left_out_if_others_are_possible(tmp_path: Path) -> None:
    short = space_files.read(tiny(tmp_path, **{"sequence_length = 40": "sequence_length = 9"})).fixed("layers", 2)
    short = short.fixed("dropout", 0.1).fixed("learning_rate", 0.01)
    lines = check(short.fixed("kernel_sizes", [3, 3]), skip=True)
    assert lines == []
    with refuses("sequence_length"):
        check(short.fixed("sequence_length", 3), skip=True)


def test_what_is_fixed_is_not_searched() -> None:
    space = space_files.of_model("deepstarr").fixed("epochs", 2).fixed("num_filters1", 8).fixed("epsilon", 1e-8)
    assert space.train_config({**POINT, "epochs": 2, "num_filters1": 8}, 0).epsilon == 1e-8
    assert space.protocol == {"epsilon": 1e-8, "epochs": 2}
    assert space.most_epochs() == 2
    with refuses("--fix", "'epoch'", "epochs?"):
        space.fixed("epoch", 1)


def test_points_that_differ_in_inert_settings_alone_are_one() -> None:
    space = space_files.of_model("deepstarr")
    values = {**POINT, "n_conv_layer": 3, "dense_neurons2": 64, "dense_neurons3": 64}
    one, two = (
        space.choose(lambda parameter, v=v: {**values, "num_filters4": v}[parameter.name])  # type: ignore[misc]
        for v in (30, 60)
    )
    assert "num_filters4" not in one
    assert key(one) == key(two)


def test_objectives_are_read_and_refused() -> None:
    targets = ("dev", "hk")
    assert objective.parse([], targets) == (Objective("pearson", "dev"),)
    several = objective.parse(["mse:hk", "cost", "loss"], targets)
    assert [(str(one), one.direction, one.column) for one in several] == [
        ("mse:hk", "minimize", "validation_mse_hk"),
        ("cost", "minimize", None),
        ("loss", "minimize", "validation_loss"),
    ]
    with refuses("--objective", "'pearson:dve'", "pearson:dev?"):
        objective.parse(["pearson:dve"], targets)
    with refuses("--objective speed:onnx-gpu", "'onnx-gpu'"):
        objective.parse(["speed:onnx-gpu"], targets)
    with refuses("--objective", "cost"):
        objective.parse(["cost", "cost"], targets)


def test_metrics_are_logged_as_the_study_logged_them() -> None:
    names = {"validation": "valid", "pearson": "pcc", "spearman": "scc"}
    row = {
        "epoch": 1,
        "train_loss": 2.0,
        "validation_pearson_dev": 0.5,
        "train_spearman_hk": 0.1,
        "validation_mse_hk": 3,
    }
    assert set(objective.to_logged(row, names)) == {
        "epoch", "train_loss", "valid_pcc_dev", "train_scc_hk", "valid_mse_hk"
    }  # fmt: skip
    assert objective.from_column("valid_scc_hk", names, "here") == "spearman:hk"
    assert objective.from_column("validation_loss", names, "here") == "loss"
