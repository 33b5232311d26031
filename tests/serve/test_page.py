"""The page in a real browser, of the service and as files: paste, predict, sort, click, mutate, download, an error;
nothing asked of other hosts."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import axe_core_python
import numpy as np
import pytest
import requests
from activity_page import find, predict, text, wait
from browser import opened as browser_opened
from checkpoints import ODD, ODD_CONFIGS, random_checkpoint
from refusals import refuses
from served import LENGTH, LOCAL, RUNTIME, Running, letters, opened, running
from sites import made, onnxruntime_web, shown

import zoo
from zoo.dna.encoding import encode_as
from zoo.dna.read_options import PAGE, ReadOptions
from zoo.prediction import description
from zoo.serve import page_api
from zoo.serve.page import NO_STEP
from zoo.weights import checkpoint

SEQUENCES = [text.replace("N", "A") for text in letters(3)]

TARGETS = ["a", "b", "c"]

PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}

AXE = Path(axe_core_python.__file__).with_name("axe.min.js")


@dataclasses.dataclass(frozen=True)
class Place:
    """The address of the page. runtime: the runtime that it names.  tolerance: of its numbers."""

    url: str
    runtime: str
    tolerance: float


@pytest.fixture(scope="module")
def model(weights: Path) -> zoo.Model:
    return zoo.load(weights=str(weights), runtime=RUNTIME, threads=1)


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(downloads: Path) -> Iterator[Any]:
    with browser_opened(downloads) as driver:
        yield driver


@pytest.fixture(scope="module", params=["service", "files"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Iterator[Place]:
    if request.param == "service":
        service = request.getfixturevalue("service")
        yield Place(service.url, "onnx-cpu", 0)
    else:
        with shown(made(tmp_path_factory.mktemp("site") / "page", onnxruntime_web(), str(weights))) as url:
            yield Place(url, "onnxruntime-web ", 1e-4)


@pytest.fixture
def page(browser: Any, place: Place) -> Any:
    browser.get(f"{place.url}/")
    wait(browser, lambda: find(browser, "#model option"))
    return browser


def choose(page: Any, name: str, heading: str = "") -> None:
    (button,) = [one for one in find(page, "#body button") if one.text == name]
    button.click()
    wait(page, lambda: text(page, "#name") == (heading or name))


def cells(page: Any) -> list[list[str]]:
    return [[cell.text for cell in row.find_elements("css selector", "td")] for row in find(page, "#body tr")]


def fasta(sequences: list[str]) -> str:
    return "".join(f">s{number}\n{one[:20]}\n{one[20:]}\n" for number, one in enumerate(sequences))


def press(page: Any, *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    for key in keys:
        ActionChains(page).send_keys(key).perform()


def test_pasted_fasta_becomes_a_table_that_sorts(page: Any, model: zoo.Model) -> None:
    predict(page, fasta(SEQUENCES))
    expected = model.predict(SEQUENCES)
    rows = [[f"s{number}", *(f"{value:.3f}" for value in values)] for number, values in enumerate(expected)]
    assert cells(page) == rows
    find(page, "#head button")[1].click()
    assert [row[0] for row in cells(page)] == [f"s{number}" for number in np.argsort(-expected[:, 0])]
    assert find(page, "#head th")[1].get_attribute("aria-sort") == "descending"
    find(page, "#head button")[1].click()
    assert [row[0] for row in cells(page)] == [f"s{number}" for number in np.argsort(expected[:, 0])]


def test_an_error_is_shown_beside_its_record_and_the_others_are_predicted(page: Any, model: zoo.Model) -> None:
    wrong = SEQUENCES[1][:9] + "Z" + SEQUENCES[1][10:]
    predict(page, "\n".join([SEQUENCES[0], wrong, "ACGT", SEQUENCES[2]]))
    found = cells(page)
    values = model.predict([SEQUENCES[0], SEQUENCES[2]])
    assert found[0] == ["sequence 1", *(f"{value:.3f}" for value in values[0])]
    assert [row[0] for row in found[1:3]] == ["sequence 2", "sequence 3"]
    assert all(fact in found[1][1] for fact in ("position 10", "ACGTN", "'Z'"))
    assert all(fact in found[2][1] for fact in (f"{LENGTH} bases", "got 4"))
    assert (len(found[1]), len(found[2])) == (2, 2)
    assert found[3] == ["sequence 4", *(f"{value:.3f}" for value in values[1])]
    assert text(page, "#status").startswith("2 predicted, 2 with errors.")


def test_a_name_shows_the_contributions_and_what_every_mutation_does(page: Any, model: zoo.Model) -> None:
    predict(page, fasta(SEQUENCES))
    choose(page, "s1")
    effects = zoo.explain.ism(model, SEQUENCES[1:2])[0, :, :, 0]
    find(page, "#drawing")[0].send_keys("")
    page.execute_script("document.getElementById('drawing').focus()")
    from selenium.webdriver.common.keys import Keys

    press(page, *[Keys.ARROW_RIGHT] * 3)
    shown = text(page, "#details").replace("−", "-")
    own = SEQUENCES[1][2]
    assert shown.startswith(f"3 {own}  contribution ")
    for code, base in enumerate("ACGT"):
        if base != own:
            value = float(re.search(rf"{own}→{base} ([-+][\d.]+)", shown)[1])  # type: ignore[index]
            assert value == pytest.approx(effects[2, code], abs=2e-3)
    assert len(find(page, "#logo path")) == len(set(SEQUENCES[1]))
    assert page.execute_script("return document.getElementById('heat').width") >= LENGTH


def test_a_mutation_is_applied_and_undone(page: Any, model: zoo.Model) -> None:
    predict(page, fasta(SEQUENCES))
    choose(page, "s0")
    from selenium.webdriver.common.action_chains import ActionChains

    heat = find(page, "#heat")[0]
    own, size = SEQUENCES[0][4], heat.size
    base = next(one for one in "ACGT" if one != own)
    x = (4 + 0.5) / LENGTH * size["width"] - size["width"] / 2
    y = ("ACGT".index(base) + 0.5) / 4 * size["height"] - size["height"] / 2
    ActionChains(page).move_to_element_with_offset(heat, round(x), round(y)).click().perform()
    wait(page, lambda: text(page, "#name") == "s0, 1 changed")
    changed = SEQUENCES[0][:4] + base + SEQUENCES[0][5:]
    (after,) = model.predict([changed])
    assert f"a {after[0]:.3f} (" in text(page, "#now")
    assert text(page, "#now").endswith(f"{own}5{base}")
    find(page, "#undo")[0].click()
    wait(page, lambda: text(page, "#name") == "s0")


def test_make_stronger_does_what_zoo_design_does(page: Any, model: zoo.Model) -> None:
    predict(page, fasta(SEQUENCES))
    choose(page, "s2")
    find(page, "#stronger")[0].click()
    wait(page, lambda: text(page, "#name") == "s2, 1 changed")
    (design,) = zoo.design.evolve(model, "a", SEQUENCES[2:], number=1, rounds=1)
    assert f"a {design.activities[0]:.3f} (+" in text(page, "#now")


HELD = """
    const [asked] = arguments, answer = backend[asked];
    window.waiting = [];
    backend[asked] = async (...given) => {
      await new Promise(go => waiting.push(go));
      return answer(...given);
    };"""
"""Script that holds the next requests of the page until `waiting[number]()` is called."""


def test_two_mutations_in_a_row_are_both_in_the_sequence_that_is_shown(page: Any, model: zoo.Model) -> None:
    predict(page, fasta(SEQUENCES))
    choose(page, "s0")
    page.execute_script(HELD, "explain")
    first, second = (next(one for one in "ACGT" if one != SEQUENCES[0][at]) for at in (4, 9))
    # the second before the first is answered, whose answer comes last
    page.execute_script("apply(4, arguments[0]); apply(9, arguments[1])", first, second)
    wait(page, lambda: page.execute_script("return waiting.length") == 2)
    page.execute_script("waiting[1]()")
    wait(page, lambda: text(page, "#name") == "s0, 2 changed")
    shown = text(page, "#now")
    (after,) = model.predict([SEQUENCES[0][:4] + first + SEQUENCES[0][5:9] + second + SEQUENCES[0][10:]])
    assert f"a {after[0]:.3f} (" in shown
    assert shown.endswith(f"{SEQUENCES[0][4]}5{first}, {SEQUENCES[0][9]}10{second}")
    page.execute_async_script("waiting[0](); setTimeout(arguments[0], 500)")
    assert text(page, "#now") == shown


def test_a_model_chosen_during_a_request_gets_no_predictions_of_the_first(
    browser: Any, weights: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.safetensors"
    checkpoint.save(random_checkpoint(ODD, seed=1), other)
    with running(opened(weights, other)) as service:
        browser.get(f"{service.url}/")
        wait(browser, lambda: len(find(browser, "#model option")) == 2)
        browser.execute_script(HELD, "predict")
        browser.execute_script("$('sequences').value = arguments[0]; submit()", fasta(SEQUENCES))
        wait(browser, lambda: browser.execute_script("return waiting.length") == 1)
        find(browser, "#model option")[1].click()
        browser.execute_async_script("waiting[0](); setTimeout(arguments[0], 500)")
        assert not find(browser, "#results")[0].is_displayed()
        assert text(browser, "#status") == ""


def test_make_stronger_draws_no_bases_where_there_are_none(page: Any) -> None:
    predict(page, f"N{SEQUENCES[0][1:]}")
    choose(page, "sequence 1")
    find(page, "#stronger")[0].click()
    wait(page, lambda: text(page, "#status") == NO_STEP)
    assert text(page, "#name") == "sequence 1"


def test_the_table_is_downloaded_with_every_digit(page: Any, place: Place, model: zoo.Model, downloads: Path) -> None:
    predict(page, fasta(SEQUENCES))
    find(page, "#download")[0].click()
    path = downloads / "predictions.tsv"
    wait(page, path.is_file)
    names, *rows = [line.split("\t") for line in path.read_text().splitlines()]
    path.unlink()
    assert names == ["name", *TARGETS]
    assert [row[0] for row in rows] == ["s0", "s1", "s2"]
    found = np.array([row[1:] for row in rows], np.float32)
    np.testing.assert_allclose(found, model.predict(SEQUENCES), rtol=0, atol=place.tolerance)


def test_the_empty_page_says_what_is_predicted_from_what_and_by_which_weights(
    page: Any, place: Place, model: zoo.Model
) -> None:
    assert all(target in text(page, "#about") for target in TARGETS)
    assert text(page, "#caution") == ""
    card = {one.get_attribute("data-about"): one.text for one in find(page, "#card dd")}
    assert list(card) == ["Input", "Weights", "Source"]
    assert f"{LENGTH} bases" in card["Input"]
    assert model.spec.weights_id[:12] in card["Weights"]
    assert place.runtime in card["Weights"]
    assert card["Source"] == model.spec.source
    predict(page, fasta(SEQUENCES))
    assert not find(page, "#card")[0].is_displayed()


def set_options(page: Any, strand: str = "given", resize: bool = False, ambiguous: bool = False) -> None:
    script = "[$('strand').value, $('resize').checked, $('ambiguous').checked] = arguments"
    page.execute_script(script, strand, resize, ambiguous)


CASES = [
    "A" * LENGTH, "acgtn" * LENGTH, "ACGT", "", "A" * (LENGTH + 3), "A" * (4 * LENGTH), "A" * (4 * LENGTH + 1), "NA",
    "NaN", "none", "ACGR" + "A" * (LENGTH - 4), "ACGU" + "A" * (LENGTH - 4), "AC T" + "A" * (LENGTH - 4), "AC'", "ACé",
    "ACG1" + "A" * (LENGTH - 4), "yR" + "G" * LENGTH, "AC*" + "A" * (LENGTH - 3), "CA" * (LENGTH // 2) + "G" * 20,
]  # fmt: skip


@pytest.mark.parametrize(("resize", "ambiguous"), [(None, None), ("center", None), (None, "n"), ("center", "n")])
def test_sequences_are_read_as_zoo_predict_reads_them(page: Any, resize: str | None, ambiguous: str | None) -> None:
    set_options(page, resize=bool(resize), ambiguous=bool(ambiguous))
    found = page.execute_script("return arguments[0].map(text => fit(text, wanted()))", CASES)
    for case, one in zip(CASES, found, strict=True):
        if "error" in one:
            with refuses(one["error"]):
                encode_as([case], LENGTH, ReadOptions(resize, ambiguous), lambda _: "s", PAGE)
        else:
            (codes,) = encode_as([case], LENGTH, ReadOptions(resize, ambiguous), lambda _: "s", PAGE)
            assert one["fitted"] == "".join("ACGTN"[code] for code in codes)
            assert one["resized"] == (len(case) != LENGTH)
            assert one["asN"] == sum(letter.upper() not in "ACGTN" for letter in case)
    assert {"error" in one for one in found} == {True, False}


def test_the_options_give_the_numbers_of_zoo_predict(page: Any, place: Place, weights: Path, model: zoo.Model) -> None:
    short, other = SEQUENCES[0][3:], "R" + SEQUENCES[1][1:]
    given = fasta([short, other, SEQUENCES[2]])
    wanted = ["N" + short + "NN", "N" + other[1:], SEQUENCES[2]]
    reverse = [one.translate(str.maketrans("ACGT", "TGCA"))[::-1] for one in wanted]
    expected = {
        "given": model.predict(wanted),
        "both": model.predict(wanted, rc="average"),
        "reverse": model.predict(reverse),
    }
    for strand, values in expected.items():
        set_options(page, strand, resize=True, ambiguous=True)
        predict(page, given)
        found = page.execute_script("return records.map(record => record.activities)")
        np.testing.assert_allclose(np.array(found), values, rtol=0, atol=max(place.tolerance, 1e-6))
        assert text(page, "#status").startswith("3 predicted, 1 cropped or padded, 1 letter read as N.")
    assert np.abs(expected["both"] - expected["given"]).max() > 1e-3
    set_options(page, "both", resize=True, ambiguous=True)
    explained = page.execute_async_script(
        "backend.explain($('model').value, arguments[0], true).then(found => arguments[1]([...found.effects[1]]))",
        SEQUENCES[2],
    )
    both = zoo.load(weights=str(weights), runtime=RUNTIME, threads=1, rc="average")
    effects = zoo.explain.ism(both, SEQUENCES[2:])[0, :, :, 1]
    np.testing.assert_allclose(np.array(explained).reshape(LENGTH, 4), effects, rtol=0, atol=2e-3)


def test_a_change_of_an_option_predicts_again(page: Any) -> None:
    predict(page, fasta(SEQUENCES))
    before = cells(page)
    find(page, "#strand option")[1].click()
    wait(page, lambda: text(page, "#status").startswith("3 predicted") and cells(page) != before)
    choose(page, "s0", "s0, mean of both strands")


def test_the_figure_has_the_method_positions_and_a_colour_scale(page: Any, place: Place) -> None:
    predict(page, fasta(SEQUENCES))
    choose(page, "s0")
    assert text(page, "#method") == ("DeepLIFT" if place.runtime == "kmer-cpu" else "Mutations")
    assert [one.text for one in find(page, "#ruler span")][:3] == ["1", "5", "10"]
    effects = page.execute_script("return Math.max(...drawn.changes.map(Math.abs))")
    assert f"+{effects:.3f}" in text(page, "#scale")
    assert "log2 enrichment" in text(page, "#top")


def test_more_targets_than_fit_are_left_to_the_file(page: Any) -> None:
    predict(page, fasta(SEQUENCES))
    page.execute_script("""
        models[$("model").value].targets = Array.from({length: 70}, (_, i) => `t${i}`);
        records.forEach(record => { record.activities = Array(70).fill(0); });
        table();""")
    assert len(cells(page)[0]) == 65
    assert text(page, "#left-out").startswith("6 targets")


def test_bundled_weights_say_what_they_predict_and_whom_to_cite() -> None:
    for name in ("original", "tuned"):
        about = description.of_weights(zoo.load(name, runtime=RUNTIME).spec)
        for fact in ("Drosophila", "S2", "STARR-seq", "log2", "dev", "hk"):
            assert fact in about["predicts"]
        assert "10.1038/s41588-022-01048-5" in about["cite"]
        assert "imitate" in about["caution"]
        assert "typical error" in about["caution"]
        assert "zoo " not in about["caution"]
        assert "--" not in about["caution"]


def test_the_page_requests_no_other_host_and_the_console_is_silent(page: Any, place: Place) -> None:
    page.get_log("browser")
    page.get_log("performance")
    page.refresh()
    wait(page, lambda: find(page, "#model option"))
    predict(page, fasta(SEQUENCES))
    choose(page, "s0")
    assert page.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = {one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"}
    assert {f"{place.url}/v2/models/mine/infer", f"{place.url}/models/mine.onnx"} & asked
    assert all(url.startswith((place.url, "data:", "blob:")) for url in asked)


def test_dropped_files_are_read_into_the_input(page: Any) -> None:
    drop = """
        const [box, ...texts] = arguments, dropped = new DataTransfer();
        texts.forEach((text, i) => dropped.items.add(new File([text], `${i}.fa`)));
        for (const type of ["dragover", "drop"])
          box.dispatchEvent(new DragEvent(type, {dataTransfer: dropped, bubbles: true, cancelable: true}));"""
    box = find(page, "#sequences")[0]
    page.execute_script(drop, box, fasta(SEQUENCES[:1]), fasta(SEQUENCES[1:]))
    wait(page, lambda: box.get_property("value"))
    assert box.get_property("value") == fasta(SEQUENCES[:1]) + "\n" + fasta(SEQUENCES[1:])


def test_the_page_fits_a_phone(page: Any) -> None:
    predict(page, fasta(SEQUENCES))
    choose(page, "s0")
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    try:
        wide = "return [document.documentElement.scrollWidth, innerWidth]"
        assert page.execute_script(wide) == [PHONE["width"], PHONE["width"]]
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_names_contrast_and_structure(page: Any, scheme: str) -> None:
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    try:
        predict(page, "\n".join([*SEQUENCES, "ACGT"]))
        choose(page, "sequence 1")
        page.execute_script(AXE.read_text("utf-8"))
        found = page.execute_async_script("axe.run().then(arguments[0])")
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]] == []
    assert {"color-contrast", "label", "button-name"} <= {one["id"] for one in found["passes"]}


def test_a_service_with_tokens_lets_the_page_ask_for_one(browser: Any, weights: Path) -> None:
    with running(opened(weights), LOCAL, ("secret",)) as service:
        browser.get(f"{service.url}/")
        wait(browser, lambda: find(browser, "#token")[0].is_displayed())
        find(browser, "#token")[0].send_keys("secret\t")
        wait(browser, lambda: find(browser, "#model option"))
        predict(browser, fasta(SEQUENCES))
        assert len(cells(browser)) == 3


def test_an_error_in_a_request_of_the_page_is_one_line(service: Running) -> None:
    address = f"{service.url}/page/models/mine"
    for action, fields, status, fact in [
        ("explain", {}, 400, "sequence"),
        ("explain", [], 400, "list of 0"),
        ("explain", {"sequence": "ACGT"}, 400, f"{LENGTH} bases, got 4"),
        ("explain", {"sequence": SEQUENCES[0], "rc": "both"}, 400, "average"),
        ("stronger", {"sequence": SEQUENCES[0], "target": "d"}, 400, "d"),
        ("weaker", {"sequence": SEQUENCES[0]}, 404, "/openapi.json"),
    ]:
        answer = requests.post(f"{address}/{action}", json=fields, timeout=60)
        assert answer.status_code == status
        assert fact in answer.json()["error"]


@pytest.mark.parametrize(
    ("name", "method"), [("odd deepstarr", "deeplift"), ("odd gapped_kmer", "ism"), ("odd motif_counts", "ism")]
)
def test_every_model_is_explained_on_a_runtime_that_explains_some(tmp_path: Path, name: str, method: str) -> None:
    pytest.importorskip("torch")
    path = tmp_path / "odd.safetensors"
    checkpoint.save(random_checkpoint(ODD_CONFIGS[name]), path)
    model = zoo.load(weights=path, runtime="torch-cpu")
    sequence = "ACGGTC" * model.spec.sequence_length
    found = page_api.answer(model, "explain", {"sequence": sequence[: model.spec.sequence_length]})
    assert found["method"] == method
    assert len(found["contributions"]) == len(found["effects"]) == len(model.spec.targets)
