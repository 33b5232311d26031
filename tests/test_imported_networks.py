"""Every command on an imported network: its numbers are those of a calculation by hand in ONNX Runtime, or one line
says why it refuses."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import onnx
import onnxruntime
import pandas
import pytest
from command_line import Zoo, one_line
from foreign import network
from refusals import refuses
from sites import stand_in

import zoo as package
from zoo.frame import Frame, InputFrame, Profile, SequenceFrame, StrandFrame, Target
from zoo.system.files import file_sha256
from zoo.weights.importers import graph_import
from zoo.weights.importers.graphs.graph import finished

LEFT, RIGHT, LENGTH = "ACGTN", "TTG", 15
"""The network sees 23 bases: the flanks and what the user gives."""

TARGETS = (Target("dev", "y", 2), Target("hk", "y", 0))

FRAME = Frame(
    InputFrame(layout="NLC", alphabet="TGCA", unknown=0.25),
    StrandFrame("mean", "sequence"),
    TARGETS,
    SequenceFrame(left=LEFT, right=RIGHT),
)

GENOME = {
    "chr1": "".join(np.random.default_rng(4).choice(list("ACGT"), 300)),
    "chr2": "".join(np.random.default_rng(5).choice(list("ACGT"), 120)),
}

Hand = Callable[[list[str]], np.ndarray]


def write(folder: Path, name: str, frame: Frame, layout: str = "NCL") -> Path:
    networks = [network(layout, seed=seed) for seed in range(frame.members)]
    graphs = [finished(name, "ONNX", one.model, one.run, "onnxruntime") for one in networks]
    graph_import.write(graphs, frame, folder / f"{name}.onnx", None, "a test", "MIT")
    return folder / f"{name}.onnx"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("imported")


@pytest.fixture(scope="module")
def flanked(folder: Path) -> Path:
    """Flanks, the mean of both strands, other axes and another base order."""
    return write(folder, "flanked", FRAME, "NLC")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    """An ensemble of two, with positions reduced to a target."""
    targets = (*TARGETS, Target("counts", "track", 1, "NTP", "exp", "sum"))
    frame = Frame(InputFrame(alphabet="ACGT"), StrandFrame("given"), targets, members=2)
    return write(folder, "plain", frame)


@pytest.fixture(scope="module")
def by_hand(outputs: Hand) -> Hand:
    """Sequences of LENGTH letters -> predictions of `flanked`, float32 (N, 2)."""
    return lambda sequences: outputs(sequences)[:, [2, 0]]


@pytest.fixture(scope="module")
def outputs() -> Hand:
    """The mean of both strands of all three numbers of its network, with NumPy and ONNX Runtime alone."""
    session = onnxruntime.InferenceSession(network("NLC").model.SerializeToString(), providers=["CPUExecutionProvider"])

    def one_hot(text: str) -> np.ndarray:
        rows = {"T": [1, 0, 0, 0], "G": [0, 1, 0, 0], "C": [0, 0, 1, 0], "A": [0, 0, 0, 1], "N": [0.25] * 4}
        return np.array([rows[letter] for letter in text], np.float32)

    def predict(sequences: list[str]) -> np.ndarray:
        turned = [text[::-1].translate(str.maketrans("ACGT", "TGCA")) for text in sequences]
        given, other = (
            session.run(["y"], {"dna": np.stack([one_hot(LEFT + text + RIGHT) for text in strand])})[0]
            for strand in (sequences, turned)
        )
        return (given + other) / 2

    return predict


@pytest.fixture(scope="module")
def positions(folder: Path) -> Path:
    """A network with a profile: probabilities of its positions."""
    profile = Profile("shape", "track", "NTP", "softmax", targets=("plus", "minus"))
    target = (Target("dev", "y", 2),)
    frame = Frame(InputFrame("dna", alphabet="ACGT"), StrandFrame("given"), target, profiles=(profile,))
    return write(folder, "positions", frame)


def near(found: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


@pytest.fixture(scope="module")
def genome(folder: Path) -> Path:
    path = folder / "genome.fa"
    path.write_text("".join(f">{name}\n{bases}\n" for name, bases in GENOME.items()))
    return path


@pytest.fixture(scope="module")
def fasta(folder: Path) -> Path:
    path = folder / "sequences.fa"
    windows = [GENOME["chr1"][start : start + LENGTH] for start in range(0, 280, 20)]
    path.write_text("".join(f">s{number}\n{bases}\n" for number, bases in enumerate([*windows, "N" * LENGTH])))
    return path


def test_predictions_are_those_by_hand(flanked: Path, by_hand: Hand, fasta: Path, zoo: Zoo, tmp_path: Path) -> None:
    status, out, _ = zoo("predict", fasta, "--weights", flanked)
    assert status == 0
    table = pandas.read_csv(pandas.io.common.StringIO(out), sep="\t")
    sequences = fasta.read_text().split("\n")[1::2]
    near(table[["dev", "hk"]].to_numpy(), by_hand(sequences))
    pandas.DataFrame({"id": range(len(sequences)), "bases": sequences}).to_csv(tmp_path / "t.csv", index=False)
    assert (
        zoo("predict", tmp_path / "t.csv", "--column", "bases", "--weights", flanked)[1].split("\n")[2].split("\t")[1:]
        == out.split("\n")[2].split("\t")[1:]
    )


def test_intervals_are_those_by_hand(flanked: Path, by_hand: Hand, genome: Path, zoo: Zoo, tmp_path: Path) -> None:
    (tmp_path / "r.bed").write_text("chr1\t30\t45\ta\t0\t-\nchr1\t100\t140\tlong\nchr2\t10\t25\tb\n")
    output = tmp_path / "out.tsv"
    rest = ("--bed", tmp_path / "r.bed", "--genome", genome, "--weights", flanked)
    assert zoo("predict", *rest, "--summary", "mean", "-o", output)[0] == 0
    expected = [
        by_hand([GENOME["chr1"][start : start + LENGTH] for start in range(100, 126)]).mean(0),
        by_hand([GENOME["chr2"][10:25]])[0],
        by_hand([GENOME["chr1"][30:45]])[0],  # the other strand has the same mean
    ]
    found = pandas.read_csv(output, sep="\t").set_index("name").loc[["long", "b", "a"], ["dev", "hk"]]
    near(found.to_numpy(), np.array(expected))
    frame = json.loads(output.with_name("out.tsv.json").read_text())["weights"]["frame"]
    assert frame["rule"] == "mean"
    assert "ACGTN" in frame["flanks"]


def test_scans_are_those_by_hand(flanked: Path, by_hand: Hand, genome: Path, zoo: Zoo, tmp_path: Path) -> None:
    rest = ("--weights", flanked, "--region", "chr2", "--format", "bedgraph", "-o", tmp_path / "t")
    status, _, err = zoo("scan", genome, *rest)
    assert status == 0, err
    found = pandas.read_csv(tmp_path / "t.hk.bedgraph", sep="\t", header=None, comment="t")
    expected = by_hand([GENOME["chr2"][start : start + LENGTH] for start in range(120 - LENGTH + 1)])[:, 1]
    values = np.repeat(found[3], found[2] - found[1])
    near(values.to_numpy(), expected)


def test_variants_are_those_by_hand(flanked: Path, by_hand: Hand, genome: Path, zoo: Zoo, tmp_path: Path) -> None:
    position = 100  # from 0
    reference = GENOME["chr1"][position]
    alternative = "A" if reference != "A" else "C"
    (tmp_path / "v.vcf").write_text(
        "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=300>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        f"chr1\t{position + 1}\tv\t{reference}\t{alternative}\t.\t.\t.\n"
    )
    outputs = [tmp_path / "v.tsv", tmp_path / "out.vcf"]
    for output in outputs:
        assert zoo("variants", tmp_path / "v.vcf", "--genome", genome, "--weights", flanked, "-o", output)[0] == 0
    window = GENOME["chr1"][position - LENGTH // 2 : position + LENGTH // 2 + 1]
    mutant = window[: LENGTH // 2] + alternative + window[LENGTH // 2 + 1 :]
    expected = by_hand([window, mutant])
    row = pandas.read_csv(outputs[0], sep="\t").iloc[0]
    near(row[["ref_dev", "alt_dev"]].to_numpy(float), expected[:, 0])
    near(row[["ref_hk", "alt_hk"]].to_numpy(float), expected[:, 1])
    assert f"ZOO_DELTA_dev={row['delta_dev']:.8g}"[:20] in outputs[1].read_text()


def test_substitutions_are_those_by_hand(flanked: Path, by_hand: Hand) -> None:
    window = GENOME["chr1"][50:65]
    model = package.load(flanked)
    found = model.session.mutants(model.codes([window]))[0]
    mutants = [window[:at] + base + window[at + 1 :] for at in range(LENGTH) for base in "ACGT"]
    expected = by_hand(mutants) - by_hand([window])
    near(found.reshape(-1, 2), expected)


def test_profiles_are_written_as_a_whole(positions: Path, plain: Path, zoo: Zoo, tmp_path: Path) -> None:
    random = np.random.default_rng(8)
    codes = random.integers(0, 4, (40, 23), np.uint8)
    texts = ["".join("ACGT"[code] for code in row) for row in codes]
    (tmp_path / "s.fa").write_text("".join(f">s{row}\n{text}\n" for row, text in enumerate(texts)))
    table, path = tmp_path / "t.tsv", tmp_path / "p.h5"
    rest = ("--weights", positions, "-o", table, "--profiles", path, "--batch-size", "16")
    assert zoo("predict", tmp_path / "s.fa", *rest)[0] == 0
    hot = np.eye(4, dtype=np.float32)[codes].transpose(0, 2, 1)
    outputs = network("NCL").run({"dna": hot})
    shares = np.exp(outputs["track"])
    with h5py.File(path) as file:
        names = [name.decode() for name in file["sequences/name"]]
        assert names == list(pandas.read_csv(table, sep="\t")["name"])
        near(file["profiles/shape"][:], shares / shares.sum(2, keepdims=True))
        assert file.attrs["weights_id"] == package.load(positions).spec.weights_id
        assert list(file["targets"].asstr()) == ["dev"]
    assert json.loads((tmp_path / "t.tsv.json").read_text())["profiles"]["sha256"] == file_sha256(path)
    bad = tmp_path / "bad.fa"
    bad.write_text((tmp_path / "s.fa").read_text() + ">x\nACGT\n")
    other = ("-o", tmp_path / "u.tsv", "--profiles", tmp_path / "u.h5")
    one_line(zoo, ["bad.fa"], "predict", bad, "--weights", positions, *other)
    one_line(zoo, ["--profiles", "no profiles"], "predict", tmp_path / "s.fa", "--weights", plain, *other)
    one_line(zoo, ["--both-strands"], "predict", bad, "--weights", positions, "--both-strands", *other)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["bad.fa", "p.h5", "s.fa", "t.tsv", "t.tsv.json"]


def test_explain_needs_ism(flanked: Path, fasta: Path, zoo: Zoo, tmp_path: Path) -> None:
    few = tmp_path / "few.fa"
    few.write_text("\n".join(fasta.read_text().split("\n")[:4]) + "\n")
    for runtime in ("auto", "onnx-cpu"):
        one_line(
            zoo, ["contributions", "--method ism"], "explain", few, "--weights", flanked, "--runtime", runtime,
            "-o", tmp_path / "no",
        )  # fmt: skip
    assert zoo("explain", few, "--weights", flanked, "--method", "ism", "-o", tmp_path / "ism")[0] == 0


def test_both_strands_are_not_taken_twice(flanked: Path, plain: Path, fasta: Path, zoo: Zoo) -> None:
    one_line(zoo, ["--both-strands", "mean of both strands"], "predict", fasta, "--weights", flanked, "--both-strands")
    with refuses("rc", "both strands"):
        package.load(flanked).predict(["A" * LENGTH], rc="average")
    assert package.load(plain, rc="average").predict(["A" * 23]).shape == (1, 3)


def test_a_wrong_length_names_the_flanks(flanked: Path, zoo: Zoo, tmp_path: Path) -> None:
    (tmp_path / "long.fa").write_text(f">s\n{'A' * 23}\n")
    one_line(zoo, ["expected 15", "got 23", "flanks of 5 and 3"], "predict", tmp_path / "long.fa", "--weights", flanked)
    with refuses("flanks of 5 and 3"):
        package.load(flanked).predict(["A" * 23])


def test_info_prints_the_frame(flanked: Path, plain: Path, zoo: Zoo) -> None:
    lines = {}
    for path in (flanked, plain):
        status, out, _ = zoo("info", path)
        assert status == 0
        lines[path] = dict(line.strip().split("  ", 1) for line in out.splitlines())
    assert "NLC, channels TGCA, 0.25" in lines[flanked]["network sees"]
    assert "5 bases before" in lines[flanked]["flanks"]
    assert "TTG" in lines[flanked]["flanks"]
    assert "mean of both strands" in lines[flanked]["strands"]
    assert lines[flanked]["dev"].strip() == "column 2 of y"
    assert "exp, sum over the positions" in lines[plain]["counts"]
    assert "2 networks" in lines[plain]["members"]
    one = sum(array.size for array in (np.empty((5, 4, 4)), np.empty((5, 3)), np.empty((2, 5, 1))))
    assert lines[plain]["numbers"].strip().startswith(f"{2 * (one + 3):,} in 8 arrays")


@pytest.mark.parametrize("runtime", ["torch-cpu", "kmer-cpu", "keras-cpu"])
def test_other_runtimes_name_those_that_run_it(runtime: str, plain: Path) -> None:
    with refuses("plain.onnx", "imported network", "onnx-cpu", "onnx-cuda"):
        package.load(plain, runtime=runtime)


def test_what_needs_arrays_refuses(plain: Path, zoo: Zoo, tmp_path: Path) -> None:
    one_line(zoo, ["imported network"], "export", plain, "--keras", "-o", tmp_path / "k.h5")


def test_files_for_other_programs_give_the_same_numbers(flanked: Path, by_hand: Hand, zoo: Zoo, tmp_path: Path) -> None:
    window = GENOME["chr1"][50:65]
    for kind in ("bytes", "codes", "onehot"):
        path = tmp_path / f"{kind}.onnx"
        assert zoo("export", flanked, "--onnx", "--input", kind, "-o", path)[0] == 0
        near(package.load(path).predict([window]), by_hand([window]))
    assert zoo("export", flanked, "--triton", "-o", tmp_path / "triton")[0] == 0
    session = onnxruntime.InferenceSession(tmp_path / "triton/flanked/1/model.onnx")
    codes = np.array([["ACGT".index(base) for base in window]], np.uint8)
    near(session.run(["activity"], {"codes": codes})[0], by_hand([window]))
    assert "dims: [ 15 ]" in (tmp_path / "triton/flanked/config.pbtxt").read_text()


def test_the_page_has_its_graph_and_its_frame(flanked: Path, by_hand: Hand, zoo: Zoo, tmp_path: Path) -> None:
    ort = stand_in(tmp_path / "dist")
    assert zoo("page", flanked, "-o", tmp_path / "site", "--ort", ort)[0] == 0
    session = onnxruntime.InferenceSession(tmp_path / "site/models/flanked.onnx")
    window = GENOME["chr1"][50:65]
    near(session.run(["activity"], {"sequence": np.frombuffer(window.encode(), np.uint8)[None]})[0], by_hand([window]))
    assert '"rule":"mean"' in (tmp_path / "site/index.html").read_text()


def test_parity_test_bench_and_pack(plain: Path, zoo: Zoo, tmp_path: Path) -> None:
    one_line(zoo, ["only onnx-cpu", "zoo test"], "parity", "--weights", plain)
    status, out, _ = zoo("test", plain)
    assert status == 0
    assert "same" in out
    assert zoo("pack", plain, "-o", tmp_path / "pack")[0] == 0
    status, out, _ = zoo("test", tmp_path / "pack", "--runtimes", "onnx-cpu")
    assert status == 0
    assert "same" in out


def test_design_and_evaluate_take_it(flanked: Path, by_hand: Hand, zoo: Zoo, tmp_path: Path) -> None:
    rest = ("--weights", flanked, "-n", "1", "--rounds", "2", "-o", tmp_path / "d.fa")
    assert zoo("design", "--target", "dev", *rest)[0] == 0
    header, design = (tmp_path / "d.fa").read_text().split("\n")[:2]
    near(np.array(float(header.split("dev=")[1].split()[0])), by_hand([design])[0, 0])
    sequences = [GENOME["chr1"][start : start + LENGTH] for start in range(0, 60, 2)]
    table = pandas.DataFrame(by_hand(sequences), columns=["dev", "hk"]).assign(sequence=sequences)
    table.to_csv(tmp_path / "data.tsv", sep="\t", index=False)
    rest = ("--data", tmp_path / "data.tsv", "--split", "all", "--resamples", "10")
    status, out, err = zoo("evaluate", flanked, *rest)
    assert status == 0, err
    assert "1.000" in out


def test_a_model_of_a_file_can_be_pickled(flanked: Path) -> None:
    model = package.load(flanked)
    again = pickle.loads(pickle.dumps(model))
    assert (again.predict(["A" * LENGTH]) == model.predict(["A" * LENGTH])).all()


def test_predict_imports_no_framework(flanked: Path, fasta: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from zoo.cli import main\n"
        "sys.argv = ['zoo', *sys.argv[1:]]\n"
        "try: main.main()\n"
        "except SystemExit as end: assert not end.code, end\n"
        "print(sorted({'torch', 'tensorflow', 'onnx', 'keras', 'scipy', 'pandas'} & set(sys.modules)))\n"
    )
    words = ["predict", fasta, "--weights", flanked, "-o", tmp_path / "out.tsv"]
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_match_finds_what_the_options_leave_open(outputs: Hand, zoo: Zoo, tmp_path: Path) -> None:
    random = np.random.default_rng(6)
    sequences = ["".join(random.choice(list("ACGTN"), LENGTH)) for _ in range(30)]
    table = pandas.DataFrame(outputs(sequences), columns=["a", "b", "c"]).assign(sequence=sequences)
    table.to_csv(tmp_path / "match.tsv", sep="\t", index=False)
    own = network("NLC").model
    del own.graph.output[1]
    onnx.save(own, tmp_path / "net.onnx")
    rest = ("--match", tmp_path / "match.tsv", "--left", LEFT, "--right", RIGHT, "--targets", "a,b,c")
    output = ("-o", tmp_path / "mine.onnx")
    one_line(zoo, ["--alphabet TGCA", "not --alphabet ACGT"], "import", tmp_path / "net.onnx", *rest, *output,
             "--alphabet", "ACGT")  # fmt: skip
    status, _, err = zoo("import", tmp_path / "net.onnx", *rest, *output)
    assert status == 0, err
    spec = package.load(tmp_path / "mine.onnx").spec
    assert (spec.frame.input, spec.frame.strand) == (FRAME.input, FRAME.strand)
    assert "90 predictions of match.tsv" in spec.imported


def test_an_imported_ensemble_has_the_spread_of_its_members(plain: Path) -> None:
    model = package.load(plain, runtime="onnx-cpu")
    codes = np.random.default_rng(0).integers(0, 4, (9, model.spec.sequence_length), np.uint8)
    each = model.members(codes)
    assert each.shape == (2, 9, 3)
    np.testing.assert_array_equal(model.predict_codes(codes), each.mean(0, dtype=np.float64).astype(np.float32))
    np.testing.assert_array_equal(model.spread(codes), each.std(0, ddof=1, dtype=np.float64).astype(np.float32))
