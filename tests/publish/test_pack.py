"""`zoo pack` and `zoo test`: a whole folder or none, a licence that allows it, numbers that any machine can check."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from checkpoints import ODD, random_checkpoint
from command_line import Zoo, one_line
from foreign import network
from refusals import refuses

from zoo import registry
from zoo.card import Card
from zoo.checks import stored
from zoo.errors import CheckFailed
from zoo.frame import Frame, InputFrame, StrandFrame, Target
from zoo.prediction import model, session
from zoo.publish import licences, pack
from zoo.publish.options import PackOptions
from zoo.weights import checkpoint, lookup, packs
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.importers import graph_import
from zoo.weights.importers.graphs import sources

CARD = Card(
    species="fly",
    tissue="S2 | cells",
    assay="STARR-seq",
    unit="log2 <ratio>",
    citation="A, doi:10.1/x",
    held_out=("4",),
)
FAST = PackOptions(runtime="kmer-cpu", licence="cc-by-4.0", repository="lab/odd")


@pytest.fixture(scope="module")
def weights() -> Checkpoint:
    """Weights that say neither their licence nor what they are."""
    made = random_checkpoint(ODD)
    return dataclasses.replace(made, spec=dataclasses.replace(made.spec, licence="unknown"))


@pytest.fixture(scope="module")
def file(weights: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    checkpoint.save(weights, path)
    return path


@pytest.fixture(scope="module")
def packed(file: Path) -> Path:
    folder = file.parent / "packed"
    pack.pack(file, folder, CARD, FAST)
    return folder


@pytest.fixture
def copy(packed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(packed, tmp_path / "copy"))


def test_a_pack_is_whole_and_its_sums_are_right(packed: Path) -> None:
    assert sorted(path.name for path in packed.iterdir()) == sorted(packs.FILES)
    done = subprocess.run(["sha256sum", "-c", packs.SUMS], cwd=packed, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    packs.check(packed)


def test_both_files_carry_the_card_and_the_same_weights(packed: Path, weights: Checkpoint) -> None:
    specs = [lookup.read_spec(packed / name) for name in packs.WEIGHTS]
    assert specs[0] == specs[1]
    assert specs[0] == dataclasses.replace(weights.spec, card=CARD, licence="CC-BY-4.0")


def test_the_readme_begins_with_yaml_for_the_hub(packed: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard.load(packed / packs.README)
    assert card.data.license == "cc-by-4.0"
    assert card.data.library_name == "deepstarr-zoo"
    assert {"Drosophila melanogaster", "STARR-seq", "S2 | cells", "dna"} <= set(card.data.tags)
    assert "# odd" in card.text
    assert "lab/odd" in card.text
    assert "53 bases" in card.text
    assert "log2 &lt;ratio&gt;" in card.text
    assert "S2 \\| cells" in card.text
    assert "a, b, c" in card.text
    assert "by/4.0" in (packed / packs.LICENCE).read_text()


def test_the_stored_numbers_are_those_of_the_runtime(packed: Path, weights: Checkpoint) -> None:
    tests = packs.read_tests(packed)
    assert tests.codes.shape == (64, 53)
    running = session.open_session(weights, "kmer-cpu")
    assert tests.difference(running.predict(tests.codes), weights.spec.targets) is None
    assert "kmer-cpu" in tests.made_by


def test_each_runtime_runs_the_file_it_reads_itself(packed: Path) -> None:
    found = stored.run(packed, ["kmer-cpu", "onnx-cpu"])
    assert [(test.runtime, test.file, test.difference) for test in found.tests] == [
        ("kmer-cpu", "weights.safetensors", None),
        ("onnx-cpu", "weights.onnx", None),
    ]
    found.check()


def test_a_pack_is_weights_for_every_command(packed: Path, zoo: Zoo) -> None:
    codes = packs.read_tests(packed).codes
    loaded = model.load(weights=packed, runtime="onnx-cpu")
    assert loaded.spec.card == CARD
    again = model.ModelSource(weights=packed, runtime="onnx-cpu").absolute()
    assert np.array_equal(again.load().predict_codes(codes), loaded.predict_codes(codes))
    status, out, _ = zoo("info", packed)
    assert status == 0
    assert "Drosophila melanogaster" in out


@pytest.mark.parametrize("name", [*packs.WEIGHTS, packs.TESTS, packs.LICENCE])
def test_one_altered_byte_fails(name: str, copy: Path, zoo: Zoo) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    status, _, err = zoo("test", copy, "--runtimes", "kmer-cpu")
    assert status == 1
    assert name in err
    if name in packs.WEIGHTS:  # the file alone, and new sums, do not hide it
        (copy / packs.SUMS).write_text(packs.sums(copy))
        with refuses(name, kind=CheckFailed):
            stored.run(copy)
        (copy / packs.SUMS).unlink()
        with refuses("changed"):
            lookup.read_spec(copy / name)


def test_other_numbers_fail_with_how_many_how_far_and_where(copy: Path, zoo: Zoo) -> None:
    tests = packs.read_tests(copy)
    expected = tests.expected.copy()
    expected[4, 1] += 1e-3
    (copy / packs.TESTS).write_bytes(dataclasses.replace(tests, expected=expected).to_bytes())
    (copy / packs.SUMS).write_text(packs.sums(copy))
    status, out, err = zoo("test", copy, "--runtimes", "kmer-cpu")
    assert status == 1
    assert "1 of 192" in err
    assert "sequence 5" in out
    status, out, _ = zoo("test", copy, "--runtimes", "kmer-cpu", "--json")
    assert (status, json.loads(out)["passed"]) == (1, False)


def test_a_pack_of_two_networks_fails(copy: Path) -> None:
    (copy / "weights.safetensors").unlink()
    checkpoint.save(random_checkpoint(ODD, 1), copy / "weights.safetensors")
    (copy / packs.SUMS).write_text(packs.sums(copy))
    with refuses("different weights", kind=CheckFailed):
        stored.run(copy)


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        (lambda folder: (folder / packs.TESTS).unlink(), [packs.TESTS, "missing"]),
        (lambda folder: (folder / packs.SUMS).write_text("x\n"), [packs.SUMS, "line 1"]),
        (lambda folder: (folder / packs.SUMS).write_text(""), [packs.SUMS, packs.TESTS]),
        (lambda folder: (folder / packs.SUMS).write_bytes(b"\xff\x00" * 99), [packs.SUMS, "line 1"]),
        (lambda folder: (folder / packs.SUMS).write_text(f"{'0' * 64}  ../secret\n"), [packs.SUMS, "secret"]),
    ],
)
def test_a_broken_pack_is_refused_in_one_line(change, facts, copy: Path) -> None:
    change(copy)
    with refuses(*facts):
        stored.run(copy)


def test_weights_without_test_tensors_are_refused(file: Path, zoo: Zoo) -> None:
    one_line(zoo, [str(file), "zoo pack"], "test", file)
    one_line(zoo, ["nowhere"], "test", "nowhere.onnx")


def test_an_onnx_file_is_packed_alone(packed: Path, tmp_path: Path) -> None:
    with refuses("safetensors"):
        pack.pack(packed / "weights.onnx", tmp_path / "p", None, dataclasses.replace(FAST, formats=("safetensors",)))
    onnx = PackOptions(runtime="onnx-cpu")
    spec = pack.pack(packed / "weights.onnx", tmp_path / "p", Card(tissue="Kc167"), onnx)
    assert spec.card == dataclasses.replace(CARD, tissue="Kc167")
    assert "weights.safetensors" not in packs.read_sums(tmp_path / "p")
    assert lookup.read_spec(tmp_path / "p" / "weights.onnx") == spec
    stored.run(tmp_path / "p", ["onnx-cpu"]).check()


@pytest.mark.parametrize(
    ("stated", "options", "facts"),
    [
        (Card(), {}, ["unknown", "--licence"]),
        (Card(), {"licence": "Academic"}, ["Academic", "--redistribution", "--licence-file"]),
        (Card(redistribution=True), {"licence": "Academic"}, ["Academic", "--licence-file"]),
        (Card(), {"licence": "Apache-2.0"}, ["Apache-2.0", "--licence-file"]),
        (Card(redistribution=False), {"licence": "MIT"}, ["may not", "MIT"]),
        (Card(redistribution=True), {}, ["unknown", "--licence"]),
    ],
)
def test_a_licence_that_is_unknown_or_forbids_it_blocks(stated, options, facts, file: Path, tmp_path: Path) -> None:
    with refuses(*facts):
        pack.pack(file, tmp_path / "p", stated, PackOptions(runtime="kmer-cpu", **options))
    assert list(tmp_path.iterdir()) == []


def test_what_the_file_says_of_its_licence_is_not_overruled(weights: Checkpoint, tmp_path: Path) -> None:
    def saved(**changes: object) -> Path:
        spec = dataclasses.replace(weights.spec, **changes)
        checkpoint.save(Checkpoint(spec, weights.arrays), tmp_path / "w.safetensors", overwrite=True)
        return tmp_path / "w.safetensors"

    with refuses("may not"):
        pack.pack(saved(card=Card(redistribution=False), licence="MIT"), tmp_path / "p", Card(redistribution=True))
    with refuses("CC0-1.0", "MIT"):
        pack.pack(saved(licence="MIT"), tmp_path / "p", None, PackOptions(licence="CC0-1.0"))


def test_another_licence_goes_with_its_text(file: Path, tmp_path: Path) -> None:
    (tmp_path / "terms.txt").write_text("For academic use.\n")
    own = PackOptions(
        licence="Academic Terms 2", licence_file=tmp_path / "terms.txt", formats=("safetensors",), runtime="kmer-cpu"
    )
    pack.pack(file, tmp_path / "p", Card(redistribution=True, use="academic use only"), own)
    readme = (tmp_path / "p" / packs.README).read_text()
    assert 'license_name: "academic-terms-2"' in readme
    assert "academic use only" in readme
    assert (tmp_path / "p" / packs.LICENCE).read_text() == "For academic use.\n"
    assert not (tmp_path / "p" / "weights.onnx").exists()


def test_a_failure_leaves_nothing_and_no_other_folder_is_replaced(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with refuses("thesis.txt"):
        pack.pack(file, tmp_path / "mine", CARD, FAST, overwrite=True)
    real = packs.sums
    monkeypatch.setattr(packs, "sums", lambda folder: real(folder).replace("0", "1"))
    with refuses("changed", kind=CheckFailed):
        pack.pack(file, tmp_path / "p", CARD, FAST)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_scores_of_a_run_are_in_its_readme(file: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(file, run / lookup.RUN_WEIGHTS)
    tested = {"sequences": 9, "pearson_a": 0.71234, "pearson_b": None, "pearson_c": 0.5}
    (run / lookup.RUN_RECEIPTS).write_text(json.dumps({"status": "finished", "test": tested}))
    pack.pack(run, tmp_path / "p", CARD, dataclasses.replace(FAST, formats=("safetensors",)))
    readme = (tmp_path / "p" / packs.README).read_text()
    assert "| a | 0.712 |" in readme
    assert "pearsonr" in readme


def test_the_command_packs_and_says_what_is_next(zoo: Zoo, tmp_path: Path) -> None:
    folder = tmp_path / "p"
    words = ["--runtime", "kmer-cpu", "--formats", "safetensors", "--held-out", "chr2R,chr4"]
    status, out, _ = zoo("pack", "tuned", "-o", folder, *words)
    assert status == 0
    assert f"zoo test {folder}" in out
    assert "MIT License" in (folder / packs.LICENCE).read_text()
    assert lookup.read_spec(folder / "weights.safetensors").card.held_out == ("chr2R", "chr4")
    one_line(zoo, ["may not", "MIT"], "pack", "tuned", "-o", tmp_path / "q", "--redistribution=false")
    assert "(default: )" not in zoo("pack", "--help")[1]
    one_line(zoo, ["repository", "a b"], "pack", "tuned", "-o", tmp_path / "q", "--repository", "a b")


def test_known_licences() -> None:
    assert licences.identifier("mit License") == "MIT"
    assert licences.identifier("CC-BY-ND-4.0") is None
    assert licences.hub_identifier("GPL-3.0-or-later") == "gpl-3.0"
    assert "by-nc/4.0/" in (licences.text("CC-BY-NC-4.0", "A", "B") or "")
    assert "zero/1.0" in (licences.text("CC0-1.0", "A", "B") or "")
    assert all(hasattr(registry.load("exporters", "onnx"), name) for name in ("write_spec", "export"))


def test_an_imported_network_brings_its_own_test_tensors(tmp_path: Path, zoo: Zoo) -> None:
    frame = Frame(InputFrame(layout="NLC", alphabet="TCGA"), StrandFrame("given"), (Target("a", "y", 0),))
    stated = Card(species="yeast", unit="counts")
    onnx = pytest.importorskip("onnx")
    onnx.save(network("NLC").model, tmp_path / "net.onnx")
    graph = sources.read(tmp_path / "net.onnx")
    graph_import.write([graph], frame, tmp_path / "mine.onnx", stated, "a paper", "MIT")
    brought = stored.stored_in(tmp_path / "mine.onnx")
    status, out, _ = zoo("test", tmp_path / "mine.onnx")
    assert status == 0
    assert brought.made_by in out.replace("\n", " ")
    spec = pack.pack(tmp_path / "mine.onnx", tmp_path / "packed", Card(assay="promoter activity"))
    assert spec.card == Card(species="yeast", unit="counts", assay="promoter activity")
    assert "one-hot, NLC, channels TCGA" in (tmp_path / "packed" / packs.README).read_text()
    tests, inside = packs.read_tests(tmp_path / "packed"), stored.stored_in(tmp_path / "packed" / "weights.onnx")
    for found in (tests, inside):
        assert found.made_by == brought.made_by
        assert np.array_equal(found.expected, brought.expected)
    content = bytearray((tmp_path / "mine.onnx").read_bytes())
    weight = graph.model.graph.initializer[0].raw_data
    content[content.index(weight) + len(weight) // 2] ^= 1
    (tmp_path / "mine.onnx").write_bytes(content)
    status, _, err = zoo("test", tmp_path / "mine.onnx")
    assert (status, "changed" in err) == (1, True)
