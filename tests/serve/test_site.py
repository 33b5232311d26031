"""`zoo page` writes the right files, refuses bad input, and its page gives the numbers of `zoo predict`."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas
import pytest
from activity_page import find, predict, text, wait
from browser import opened
from checkpoints import SMALL_CONFIGS, random_checkpoint, random_codes
from command_line import Zoo
from sites import onnxruntime_web, shown, stand_in

from zoo.prediction.model import load
from zoo.serve import page
from zoo.weights import checkpoint

MODELS = ("original", "tuned")


@pytest.fixture
def ort(tmp_path: Path) -> Path:
    """A folder that looks like the package."""
    return stand_in(tmp_path / "dist")


def held(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_files_are_the_page_the_graphs_and_the_runtime(zoo: Zoo, tmp_path: Path, ort: Path) -> None:
    status, out, err = zoo("page", *MODELS, "-o", tmp_path / "site", "--ort", ort)
    assert status == 0
    assert err.count("imitate the published model") == len(MODELS)
    assert out.startswith(f"{tmp_path / 'site'}: ")
    assert "original, tuned" in out
    assert held(tmp_path / "site") == {
        "index.html",
        "models/original.onnx",
        "models/tuned.onnx",
        "ort/ort.js",
        "ort/ort.wasm",
    }
    assert (tmp_path / "site/ort/ort.wasm").read_text().startswith("ort-wasm-simd-threaded.wasm")
    content = (tmp_path / "site/index.html").read_text("utf-8")
    assert not re.search(r"\{\{[A-Z]+\}\}", content)
    assert page.POLICIES[page.BROWSER] in content


@pytest.mark.parametrize(
    ("changed", "content", "fact"),
    [
        ("ort-wasm-simd-threaded.wasm", None, "ort-wasm-simd-threaded.wasm"),
        (page.SCRIPT, "/* ONNX Runtime Web v1.22.1 */", "1.22"),
        (page.SCRIPT, "", page.SCRIPT),
    ],
)
def test_a_runtime_that_is_missing_or_too_old_is_one_line_and_nothing_is_written(
    zoo: Zoo, tmp_path: Path, ort: Path, changed: str, content: str | None, fact: str
) -> None:
    (ort / changed).unlink()
    if content is not None:
        (ort / changed).write_text(content)
    status, _, err = zoo("page", "-o", tmp_path / "site", "--ort", ort)
    assert (status, err.count("\n")) == (2, 1)
    for one in (fact, f"zoo: {ort}: ", "1.23", "npm install --no-save onnxruntime-web", "--ort"):
        assert one in err
    assert [path.name for path in tmp_path.iterdir()] == ["dist"]


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (["orignal"], "original?"),
        (["original", "original"], "original: "),
    ],
)
def test_a_model_that_is_unknown_or_given_twice_is_an_error(
    zoo: Zoo, tmp_path: Path, ort: Path, arguments: list[str], fact: str
) -> None:
    status, _, err = zoo("page", *arguments, "-o", tmp_path / "site", "--ort", ort)
    assert (status, err.count("\n")) == (2, 1)
    assert fact in err
    assert [path.name for path in tmp_path.iterdir()] == ["dist"]


def test_overwrite_replaces_a_page_but_never_a_folder_with_other_files(zoo: Zoo, tmp_path: Path, ort: Path) -> None:
    command = ("page", "tuned", "-o", tmp_path / "site", "--ort", ort)
    assert zoo(*command)[0] == 0
    status, _, err = zoo(*command)
    assert (status, err.count("\n")) == (2, 1)
    assert err.startswith(f"zoo: {tmp_path / 'site'}: ")
    assert "--overwrite" in err
    assert zoo("page", "original", *command[2:], "--overwrite")[0] == 0
    assert "models/original.onnx" in held(tmp_path / "site")
    assert "models/tuned.onnx" not in held(tmp_path / "site")
    (tmp_path / "site/notes.txt").write_text("mine")
    status, _, err = zoo(*command, "--overwrite")
    assert status == 2
    assert "notes.txt" in err


def drawn(count: int) -> list[str]:
    """Sequences with a few N."""
    random = np.random.default_rng(7)
    return ["".join("ACGTN"[code] for code in random.choice(5, 249, p=[0.245] * 4 + [0.02])) for _ in range(count)]


@pytest.mark.parametrize("name", MODELS)
def test_the_browser_gives_the_numbers_of_zoo_predict(zoo: Zoo, tmp_path: Path, name: str) -> None:
    ort, content = onnxruntime_web(), "".join(f">s{i}\n{one}\n" for i, one in enumerate(drawn(300)))
    (tmp_path / "seqs.fa").write_text(content)
    assert zoo("predict", tmp_path / "seqs.fa", "--model", name, "-o", tmp_path / "seqs.tsv")[0] == 0
    assert zoo("page", *MODELS, "-o", tmp_path / "site", "--ort", ort)[0] == 0
    expected = pandas.read_csv(tmp_path / "seqs.tsv", sep="\t", index_col=0)
    with shown(tmp_path / "site") as url, opened() as browser:
        browser.get(f"{url}/")
        wait(browser, lambda: find(browser, "#model option"))
        (option,) = [one for one in find(browser, "#model option") if one.text == name]
        option.click()
        predict(browser, content)
        records = browser.execute_script("return records")
    assert [record["name"] for record in records] == list(expected.index)
    found = np.array([record["activities"] for record in records])
    np.testing.assert_allclose(found, expected.to_numpy(), rtol=0, atol=1e-4)


def test_every_network_gives_the_same_numbers_in_the_browser(tmp_path: Path) -> None:
    ort, files = onnxruntime_web(), {name: tmp_path / f"{name}.safetensors" for name in SMALL_CONFIGS}
    for name, config in SMALL_CONFIGS.items():
        checkpoint.save(random_checkpoint(config), files[name])
    page.write([str(path) for path in files.values()], tmp_path / "site", ort)
    with shown(tmp_path / "site") as url, opened() as browser:
        browser.get(f"{url}/")
        wait(browser, lambda: find(browser, "#model option"))
        for name, path in files.items():
            model = load(None, path, "onnx-cpu")
            codes = random_codes(70, model.spec.sequence_length)
            sequences = ["".join("ACGTN"[code] for code in row) for row in codes]
            found = browser.execute_async_script(
                "backend.predict(arguments[0], arguments[1]).then(arguments[2])", name, sequences
            )
            np.testing.assert_allclose(
                np.array([one["activities"] for one in found]), model.predict_codes(codes), rtol=0, atol=1e-4
            )


def test_a_page_opened_as_a_file_shows_the_command_that_serves_it(tmp_path: Path, ort: Path) -> None:
    page.write(["tuned"], tmp_path / "site", ort)
    with opened() as browser:
        browser.get((tmp_path / "site/index.html").as_uri())
        wait(browser, lambda: "python -m http.server" in text(browser, "#status"))


def test_a_missing_graph_is_reported_and_the_page_still_works(tmp_path: Path) -> None:
    page.write(["tuned"], tmp_path / "site", onnxruntime_web())
    (tmp_path / "site/models/tuned.onnx").rename(tmp_path / "kept.onnx")
    with shown(tmp_path / "site") as url, opened() as browser:
        browser.get(f"{url}/")
        wait(browser, lambda: find(browser, "#model option"))
        find(browser, "#example")[0].click()
        wait(browser, lambda: "status 404" in text(browser, "#status"))
        assert text(browser, "#status").startswith("models/tuned.onnx: ")
        (tmp_path / "kept.onnx").rename(tmp_path / "site/models/tuned.onnx")
        find(browser, "#example")[0].click()
        wait(browser, lambda: text(browser, "#status").startswith("2 predicted"))
