"""BPNet and ChromBPNet: numbers of an independent calculation, weights of other programs, profiles on every way."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from checkpoints import random_checkpoint, random_codes  # noqa: E402
from refusals import refuses  # noqa: E402
from torch.nn import functional  # noqa: E402

from zoo.dna.encoding import one_hot, reverse_complement  # noqa: E402
from zoo.models.bpnet import VARIANTS, Config  # noqa: E402
from zoo.prediction import by_prediction, session  # noqa: E402
from zoo.prediction.strands import BothStrands  # noqa: E402
from zoo.weights import checkpoint  # noqa: E402
from zoo.weights.checkpoint import Checkpoint  # noqa: E402
from zoo.weights.importers import importer  # noqa: E402
from zoo.weights.importers.layers import ImportOptions  # noqa: E402

SMALL = Config(sequence_length=160, profile_length=40, filters=6, layers=3, first_kernel=9, profile_kernel=15)
CHROMATIN = dataclasses.replace(SMALL, strands=1, bias_filters=4, bias_layers=1)
CONFIGS = {
    "bpnet": SMALL,
    "chrombpnet": CHROMATIN,
    "with bias": dataclasses.replace(CHROMATIN, predicts="with bias"),
    "two targets, with bias": dataclasses.replace(CHROMATIN, strands=2, targets=("Oct4", "Sox2"), predicts="with bias"),
    "bpnet-lite": dataclasses.replace(SMALL, padding="same"),
    "bpnet-lite, beyond the ends": dataclasses.replace(SMALL, padding="same", layers=5),
    "chrombpnet-lite": dataclasses.replace(CHROMATIN, padding="same"),
    "basepairnet": dataclasses.replace(SMALL, padding="same", activation="before"),
}


def calculated(
    arrays: dict[str, Any], one_hot: Any, config: Config, start: str = ""
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log counts and logits by the definitions of both programs, all positions computed and cropped at the end."""
    pads, before = config.padding == "same", config.activation == "before"
    get = {name: torch.from_numpy(array) for name, array in arrays.items()}.__getitem__
    weight, bias = get(f"{start}trunk.first.weight"), get(f"{start}trunk.first.bias")
    hidden = functional.conv1d(one_hot, weight, bias, padding=weight.shape[2] // 2 if pads else 0)
    hidden = hidden if before else hidden.relu()
    for number in range(config.bias_layers if start else config.layers):
        step = 2 ** (number + 1)
        weight, bias = (get(f"{start}trunk.dilated.{number}.{end}") for end in ("weight", "bias"))
        given = hidden.relu() if before else hidden
        new = functional.conv1d(given, weight, bias, dilation=step, padding=step if pads else 0)
        hidden = (hidden if pads else hidden[:, :, step:-step]) + (new if before else new.relu())
    hidden = hidden.relu() if before else hidden
    weight = get(f"heads.{start}profile.weight")
    wide = weight.shape[2] // 2
    trimmed = (hidden.shape[2] - config.profile_length) // 2
    logits = functional.conv1d(hidden, weight, get(f"heads.{start}profile.bias"), padding=wide)
    logits = logits[:, :, trimmed : trimmed + config.profile_length]
    counted = hidden[:, :, trimmed - wide : trimmed + config.profile_length + wide] if pads else hidden
    count = counted.mean(2) @ get(f"heads.{start}count.weight").T + get(f"heads.{start}count.bias")
    return count, logits


def expected(weights: Checkpoint, codes: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    config, hot = weights.config, torch.from_numpy(one_hot(codes)).mT
    count, logits = calculated(weights.arrays, hot, config)
    if config.predicts == "with bias":
        of_bias, bias_logits = calculated(weights.arrays, hot, config, "bias_")
        count, logits = (count.exp() + of_bias.exp()).log(), logits + bias_logits
    shares = []
    for target in range(len(config.targets)):
        own = logits[:, target * config.strands : (target + 1) * config.strands].exp()
        shares.append(own / own.sum((1, 2), keepdim=True))
    share = torch.cat(shares, 1)
    counts = share * count.exp().repeat_interleave(config.strands, 1)[:, :, None]
    return count.numpy(), {"probability": share.numpy(), "counts": counts.numpy()}


@pytest.mark.parametrize("name", CONFIGS)
def test_counts_and_profiles_are_those_of_an_independent_calculation(name: str) -> None:
    weights = random_checkpoint(CONFIGS[name])
    codes = random_codes(5, SMALL.sequence_length)
    counts, profiles = expected(weights, codes)
    running = session.open_session(weights, "torch-cpu")
    np.testing.assert_allclose(running.predict(codes), counts, rtol=1e-5, atol=1e-5)
    found = running.profiles(codes)
    assert list(found) == list(profiles)
    for one, numbers in profiles.items():
        np.testing.assert_allclose(found[one], numbers, rtol=1e-4, atol=1e-7, err_msg=one)
    sums = found["counts"].reshape(5, len(weights.spec.targets), -1).sum(2)
    np.testing.assert_allclose(sums, np.exp(counts), rtol=1e-4)


def test_the_first_variants_of_both_programs_are_the_same_function() -> None:
    weights = [random_checkpoint(VARIANTS[name]) for name in ("bpnet", "bpnet-lite")]
    codes = random_codes(2, 2114)
    first, second = (session.open_session(one, "torch-cpu") for one in weights)
    np.testing.assert_allclose(first.predict(codes), second.predict(codes), rtol=1e-5)
    np.testing.assert_allclose(first.profiles(codes)["counts"], second.profiles(codes)["counts"], rtol=1e-4)


LITE = {"trunk.first": "iconv", "trunk.dilated": "rconvs", "heads.profile": "fconv", "heads.count": "linear"}
"""Our name of a layer -> that of bpnet-lite."""


def saved_by_bpnet_lite(weights: Checkpoint, path: Path) -> None:
    """A state dict with the names of bpnet-lite's classes BPNet, BasePairNet and ChromBPNet."""
    state = {}
    for name, array in weights.arrays.items():
        is_bias, plain = "bias_" in name, name.replace("bias_", "")
        layer = next(ours for ours in LITE if plain.startswith(f"{ours}."))
        part = ("bias." if is_bias else "accessibility.") if weights.config.bias_filters else ""
        state[part + LITE[layer] + plain.removeprefix(layer)] = torch.from_numpy(array)
    torch.save(state, path)


@pytest.mark.parametrize("name", ["bpnet-lite", "bpnet-lite, beyond the ends", "chrombpnet-lite", "basepairnet"])
def test_a_state_dict_of_bpnet_lite_gives_its_numbers(name: str, tmp_path: Path, monkeypatch: Any) -> None:
    weights = random_checkpoint(CONFIGS[name])
    saved_by_bpnet_lite(weights, tmp_path / "theirs.pt")
    variant = name.partition(",")[0]
    shown = dataclasses.replace(VARIANTS[variant], sequence_length=160, profile_length=40)
    monkeypatch.setitem(VARIANTS, variant, shown)
    read = importer.read(tmp_path / "theirs.pt", ImportOptions(), variant)
    assert read.config == dataclasses.replace(weights.config, control_log_counts=shown.control_log_counts)
    assert read.spec.unit == "natural log of counts"
    for array, values in weights.arrays.items():
        np.testing.assert_array_equal(read.arrays[array], values)
    with refuses("--architecture", "bpnet-lite" if "chrom" not in name else "chrombpnet-lite"):
        importer.read(tmp_path / "theirs.pt")


@pytest.mark.parametrize(("name", "seen"), [("bpnet-lite", 0.0), ("basepairnet", math.log(2))])
def test_a_control_is_zero_only_if_that_is_said(name: str, seen: float, tmp_path: Path, monkeypatch: Any) -> None:
    shown = dataclasses.replace(CONFIGS[name], control_log_counts=seen)
    with_control = random_checkpoint(dataclasses.replace(shown, control_tracks=2, control="zero"))
    saved_by_bpnet_lite(with_control, tmp_path / "theirs.pt")
    monkeypatch.setitem(VARIANTS, name, shown)
    with refuses("control", "2 control tracks", "--control zero"):
        importer.read(tmp_path / "theirs.pt", ImportOptions(), name)
    read = importer.read(tmp_path / "theirs.pt", ImportOptions(control="zero"), name)
    codes = random_codes(3, 160)
    arrays = dict(with_control.arrays)
    arrays["heads.profile.weight"] = arrays["heads.profile.weight"][:, : shown.filters]
    arrays["heads.count.bias"] = arrays["heads.count.bias"] + seen * arrays["heads.count.weight"][:, -1]
    arrays["heads.count.weight"] = arrays["heads.count.weight"][:, : shown.filters]
    counts, profiles = expected(Checkpoint(checkpoint.describe("bpnet", shown), arrays), codes)
    running = session.open_session(read, "torch-cpu")
    np.testing.assert_allclose(running.predict(codes), counts, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(running.profiles(codes)["counts"], profiles["counts"], rtol=1e-4, atol=1e-6)


def keras_part(keras: Any, config: Config, filters: int, layers: int, start: str, head: str) -> Any:
    """A BPNet in Keras, with the names of layers of chrombpnet."""
    kind = keras.layers
    given = keras.Input((config.sequence_length, 4), name="sequence")
    hidden = kind.Conv1D(filters, config.first_kernel, activation="relu", name=f"{start}bpnet_1st_conv")(given)
    for number in range(1, layers + 1):
        step = 2**number
        new = kind.Conv1D(filters, 3, activation="relu", dilation_rate=step, name=f"{start}bpnet_{number}conv")(hidden)
        hidden = kind.add([new, kind.Cropping1D(step, name=f"{start}bpnet_{number}crop")(hidden)])
    profile = kind.Conv1D(1, config.profile_kernel, name=f"{head}prof_out_precrop")(hidden)
    cut = (profile.shape[1] - config.profile_length) // 2
    profile = kind.Flatten()(kind.Cropping1D(cut, name=f"{head}logits_preflatten")(profile))
    count = kind.Dense(1, name=f"{head}logcount_predictions")(kind.GlobalAveragePooling1D()(hidden))
    return keras.Model(given, [profile, count], name=f"model_{start or 'bias'}")


def test_files_of_keras_give_the_numbers_of_keras(tmp_path: Path) -> None:
    """A network without bias, a bias network, and both as layers of a third one."""
    keras = pytest.importorskip("tf_keras")
    parts = [
        keras_part(keras, CHROMATIN, 6, 3, "wo_bias_", "wo_bias_bpnet_"),
        keras_part(keras, CHROMATIN, 4, 1, "", ""),
    ]
    random = np.random.default_rng(0)
    for part in parts:
        part.set_weights(
            [random.normal(0, np.sqrt(2 / np.prod(one.shape[:-1])), one.shape) for one in part.get_weights()]
        )
    given = keras.Input((160, 4), name="sequence")
    both = [part(given) for part in parts]
    whole = keras.Model(
        given, [keras.layers.Add()([one[0] for one in both]), keras.layers.Add()([one[1] for one in both])]
    )
    codes = random_codes(4, 160)
    outputs = [part.predict_on_batch(one_hot(codes)) for part in parts]
    counts = {"0": outputs[0][1], "1": outputs[1][1], "2": outputs[0][1]}
    for number, model in enumerate((*parts, whole)):
        model.save(tmp_path / f"{number}.h5", save_format="h5")
        weights = importer.read(tmp_path / f"{number}.h5", ImportOptions(alphabet="ACGT"))
        assert (weights.config.strands, weights.config.profile_length) == (1, 40)
        running = session.open_session(weights, "torch-cpu")
        np.testing.assert_allclose(running.predict(codes), counts[str(number)], rtol=1e-5, atol=1e-5)
        logits = outputs[number % 2][0]
        shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        np.testing.assert_allclose(running.profiles(codes)["probability"][:, 0], shares, rtol=1e-4, atol=1e-7)
    assert (weights.config.bias_filters, weights.config.bias_layers) == (4, 1)
    biased = dataclasses.replace(weights.config, predicts="with bias")
    running = session.open_session(checkpoint.make("bpnet", biased, weights.arrays, "", ""), "torch-cpu")
    joint = np.logaddexp(outputs[0][1], outputs[1][1])
    np.testing.assert_allclose(running.predict(codes), joint, rtol=1e-5, atol=1e-5)


def test_every_way_has_the_numbers_of_pytorch() -> None:
    """Profiles, windows, mutants and contributions, of the file that ONNX Runtime runs."""
    weights = random_checkpoint(CONFIGS["two targets, with bias"])
    one, other = (session.open_session(weights, runtime) for runtime in ("torch-cpu", "onnx-cpu"))
    codes = random_codes(3, 160)
    np.testing.assert_allclose(other.predict(codes), one.predict(codes), rtol=1e-4, atol=1e-5)
    profiles = one.profiles(codes)
    for key, numbers in other.profiles(codes).items():
        np.testing.assert_allclose(numbers, profiles[key], rtol=1e-3, atol=1e-6)
    assert BothStrands(one).predict(codes) == pytest.approx(
        BothStrands(one).predict(reverse_complement(codes)), abs=1e-5
    )
    stretch = random_codes(1, 200)[0]
    assert other._engine.windows is not None  # type: ignore[attr-defined]
    np.testing.assert_allclose(other.windows(stretch, 3), one.windows(stretch, 3), rtol=1e-3, atol=1e-4)
    mutants = by_prediction.mutants(one.predict, codes[:1], len(weights.spec.targets))
    np.testing.assert_allclose(other.mutants(codes[:1]), mutants, rtol=1e-3, atol=1e-4)
    codes[codes > 3] = 0  # the contribution of an N is that of no base
    references = random_codes(3, 160, 1)[:, None]
    scores = one.contributions(codes[:1], references[:1], 0)
    delta = one.predict(codes[:1])[0, 0] - one.predict(references[0])[0, 0]
    assert (scores * one_hot(codes[:1])).sum() == pytest.approx(delta, abs=1e-4)


def test_sizes_that_do_not_fit_are_refused() -> None:
    for wrong in ({"sequence_length": 101}, {"sequence_length": 60}, {"profile_kernel": 14}, {"control_tracks": 1}):
        with refuses("expected " if "control_tracks" not in wrong else "--control zero"):
            dataclasses.replace(SMALL, **wrong)
