"""`zoo marginalize`: the planted effects, plain predictions, places, and memory."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import planted
import pytest
from checkpoints import ODD, random_checkpoint, random_codes
from command_line import Zoo, one_line
from refusals import refuses

from zoo.errors import CheckFailed
from zoo.experiments import marginalize, measure
from zoo.experiments.backgrounds import Backgrounds
from zoo.experiments.marginalization import Marginalization
from zoo.experiments.options import BackgroundSequences, InsertOptions, PlaceOptions
from zoo.prediction.model import Model
from zoo.prediction.session import open_session
from zoo.weights import checkpoint

NAMED = [f"{name}={site}" for name, site in planted.MOTIFS.items()]


def test_the_planted_effects_are_found(known: Model) -> None:
    found = marginalize(known, NAMED, orientation="both", backgrounds=200)
    for row in found.frame().itertuples():
        for target, number in (("helped", 0), ("plain", 1)):
            expected = planted.EFFECTS[row.motif][number] if row.orientation == "+" else 0
            low, high = (getattr(row, f"{target}_effect_{end}") for end in ("low", "high"))
            assert low - 0.02 <= expected <= high + 0.02  # some backgrounds have a motif by chance
            assert high - low < 0.06


def test_numbers_are_those_of_plain_predictions(small: Model) -> None:
    codes = np.asarray(random_codes(70, ODD.sequence_length) % 4)
    found = marginalize(small, "ACGTA", codes, everywhere=True, step=16, orientation="both", targets=["c", "a"])
    frame = found.frame()
    assert frame["position"].tolist() == [1, 17, 33, 49] * 2
    before = small.predict_codes(codes)[:, [2, 0]]
    for number, row in enumerate(frame.itertuples()):
        changed = codes.copy()
        changed[:, row.position - 1 : row.position + 4] = (0, 1, 2, 3, 0) if row.orientation == "+" else (3, 0, 1, 2, 3)
        after = small.predict_codes(changed)[:, [2, 0]]
        np.testing.assert_allclose(found.effects[:, number], after - before, rtol=0, atol=2e-5)
        assert row.c_activity == pytest.approx(after[:, 0].mean(), abs=2e-5)
        assert row.a_effect_sd_backgrounds == pytest.approx((after - before)[:, 1].std(ddof=1), abs=2e-5)


def test_places_that_do_not_exist(small: Model) -> None:
    with refuses("--position 50", "6 bases", "53"):
        marginalize(small, "GATA", position=50)
    with refuses("--position", "--everywhere"):
        marginalize(small, "GATA", position=5, everywhere=True)
    with refuses("--step", "--everywhere"):
        marginalize(small, "GATA", step=5)
    with refuses("model", "Model"):
        marginalize("original", "GATA")  # type: ignore[arg-type]


def peak(model: Model, number: int) -> int:
    experiment = Marginalization(model, InsertOptions(("GATA",)), PlaceOptions(everywhere=True), 1)
    backgrounds = Backgrounds(BackgroundSequences(number), model.spec.sequence_length)
    tracemalloc.start()
    measure.measure(model, experiment, backgrounds, lambda _: None)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def test_memory_does_not_grow_with_the_backgrounds(small: Model) -> None:
    peak(small, 64)
    assert peak(small, 1280) < 1.1 * peak(small, 128)


def test_the_command_reads_backgrounds_from_a_file(zoo: Zoo, tmp_path: Path) -> None:
    checkpoint.save(random_checkpoint(ODD), tmp_path / "odd.safetensors")
    texts = ["".join("ACGT"[code] for code in row % 4) for row in random_codes(5, ODD.sequence_length)]
    (tmp_path / "five.fa").write_text("".join(f">s{number}\n{text}\n" for number, text in enumerate(texts)))
    (tmp_path / "known.meme").write_text(
        "MEME version 4\n\nALPHABET= ACGT\n\nMOTIF one\nletter-probability matrix: w= 2\n0 1 0 0\n0 0 1 0\n"
    )
    command = (
        "marginalize", tmp_path / "five.fa", "--motifs", "one", "--known", tmp_path / "known.meme", "--shuffles", 2,
        "--weights", tmp_path / "odd.safetensors", "--runtime", "kmer-cpu", "-o", tmp_path / "out",
    )  # fmt: skip
    status, out, err = zoo(*command)
    assert (status, out) == (0, ""), err
    described = json.loads((tmp_path / "out" / "marginalize.json").read_text())
    assert described["counts"]["records"] == 10
    assert described["options"]["known"] == str(tmp_path / "known.meme")
    assert np.load(tmp_path / "out" / "marginalize.npz")["effects"].shape == (10, 1, 3)
    one_line(zoo, ["out", "--overwrite"], *command)
    one_line(zoo, ["--backgrounds", "FILE"], *command, "--overwrite", "--backgrounds", 5)


def test_an_effect_that_is_not_finite_is_an_error() -> None:
    made = random_checkpoint(ODD)
    arrays = {name: array * np.float32(1e30) if array.ndim == 2 else array for name, array in made.arrays.items()}
    weights = checkpoint.make("deepstarr", ODD, arrays, "random", "none")
    with refuses("not finite", kind=CheckFailed):
        marginalize(Model(open_session(weights, "kmer-cpu")), "TGA", backgrounds=2)
