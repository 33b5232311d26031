"""The page in a real browser: paste, predict, sort, click, mutate, download, an error; nothing asked of other hosts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from browser import opened as browser_opened
from served import LENGTH, LOCAL, RUNTIME, Running, letters, opened, running

import zoo

SEQUENCES = [text.replace("N", "A") for text in letters(3)]

TARGETS = ["a", "b", "c"]


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


@pytest.fixture
def page(browser: Any, service: Running) -> Any:
    browser.get(f"{service.url}/")
    wait(browser, lambda: find(browser, "#model option"))
    return browser


def find(page: Any, selector: str) -> list[Any]:
    return page.find_elements("css selector", selector)


def text(page: Any, selector: str) -> str:
    return find(page, selector)[0].text


def wait(page: Any, condition: Any) -> None:
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.support.ui import WebDriverWait

    waiting = WebDriverWait(page, 60, poll_frequency=0.02, ignored_exceptions=(StaleElementReferenceException,))
    waiting.until(lambda _: condition())


def predict(page: Any, content: str) -> None:
    box = find(page, "#sequences")[0]
    page.execute_script("arguments[0].value = arguments[1]", box, content)
    find(page, "button.first")[0].click()
    wait(page, lambda: "predicted" in text(page, "#status"))


def choose(page: Any, name: str) -> None:
    (button,) = [one for one in find(page, "#body button") if one.text == name]
    button.click()
    wait(page, lambda: text(page, "#name") == name)


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


def test_an_error_stands_beside_its_record_and_the_others_are_predicted(page: Any, model: zoo.Model) -> None:
    wrong = SEQUENCES[1][:9] + "Z" + SEQUENCES[1][10:]
    predict(page, "\n".join([SEQUENCES[0], wrong, "ACGT", SEQUENCES[2]]))
    found = cells(page)
    values = model.predict([SEQUENCES[0], SEQUENCES[2]])
    assert found[0] == ["sequence 1", *(f"{value:.3f}" for value in values[0])]
    assert found[1] == ["sequence 2", "position 10: expected a letter of ACGTN, got 'Z'"]
    assert found[2] == ["sequence 3", f"expected {LENGTH} bases, got 4"]
    assert found[3] == ["sequence 4", *(f"{value:.3f}" for value in values[1])]
    assert text(page, "#status").startswith("2 predicted, 2 refused.")


def test_a_name_shows_the_contributions_and_what_every_mutation_does(page: Any, model: zoo.Model) -> None:
    predict(page, fasta(SEQUENCES))
    choose(page, "s1")
    effects = zoo.explain.ism(model, SEQUENCES[1:2])[0, :, :, 0]
    find(page, "#drawing")[0].send_keys("")
    page.execute_script("document.getElementById('drawing').focus()")
    from selenium.webdriver.common.keys import Keys

    press(page, *[Keys.ARROW_RIGHT] * 3)
    shown = text(page, "#told").replace("−", "-")
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
    (design,) = zoo.explain.evolve(model, "a", SEQUENCES[2:], number=1, rounds=1)
    assert f"a {design.activities[0]:.3f} (+" in text(page, "#now")


def test_the_table_is_downloaded_with_every_digit(page: Any, model: zoo.Model, downloads: Path) -> None:
    predict(page, fasta(SEQUENCES))
    find(page, "#download")[0].click()
    path = downloads / "predictions.tsv"
    wait(page, path.is_file)
    names, *rows = [line.split("\t") for line in path.read_text().splitlines()]
    assert names == ["name", *TARGETS]
    assert [row[0] for row in rows] == ["s0", "s1", "s2"]
    np.testing.assert_array_equal(np.array([row[1:] for row in rows], np.float32), model.predict(SEQUENCES))


def test_it_says_which_weights_ran(page: Any, model: zoo.Model) -> None:
    assert text(page, "#about").startswith(
        f"Weights {model.spec.weights_id[:12]} on onnx-cpu; {LENGTH} bases. random numbers"
    )


def test_nothing_is_asked_of_another_host_and_the_console_is_silent(page: Any, service: Running) -> None:
    page.get_log("browser")
    page.get_log("performance")
    page.refresh()
    wait(page, lambda: find(page, "#model option"))
    predict(page, fasta(SEQUENCES))
    choose(page, "s0")
    assert page.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = {one["params"]["request"]["url"] for one in events if one["method"] == "Network.requestWillBeSent"}
    assert f"{service.url}/v2/models/mine/infer" in asked
    assert all(url.startswith((service.url, "data:", "blob:")) for url in asked)


def test_every_control_has_a_name_and_it_fits_a_phone(page: Any) -> None:
    predict(page, fasta(SEQUENCES))
    choose(page, "s0")
    for control in find(page, "button, select, input, textarea, [tabindex='0']"):
        if control.is_displayed():
            assert control.accessible_name, control.get_attribute("outerHTML")
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    )
    try:
        wide = "return [document.documentElement.scrollWidth, innerWidth]"
        assert page.execute_script(wide) == [390, 390]
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_texts_have_the_contrast_that_wcag_asks_for(service: Running, scheme: int) -> None:
    content = requests.get(f"{service.url}/", timeout=60).text
    block = re.findall(r":root \{(.*?)\}", content, re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
    for front, behind in [
        *((front, behind) for front in ("text", "faint", "error") for behind in ("page", "panel")),
        ("on-button", "button"),
    ]:
        light, dark = sorted((luminance(colours[front]), luminance(colours[behind])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (front, behind)


def test_a_service_with_tokens_lets_the_page_ask_for_one(browser: Any, weights: Path) -> None:
    with running(opened(weights), LOCAL, ("secret",)) as service:
        browser.get(f"{service.url}/")
        wait(browser, lambda: find(browser, "#token")[0].is_displayed())
        find(browser, "#token")[0].send_keys("secret\t")
        wait(browser, lambda: find(browser, "#model option"))
        predict(browser, fasta(SEQUENCES))
        assert len(cells(browser)) == 3


def test_a_question_that_is_wrong_is_one_line(service: Running) -> None:
    address = f"{service.url}/page/models/mine"
    for question, asked, status, message in [
        ("explain", {}, 400, "expected a JSON object with the texts sequence"),
        ("explain", {"sequence": "ACGT"}, 400, f"the sequence: expected {LENGTH} bases, got 4"),
        ("stronger", {"sequence": SEQUENCES[0], "target": "d"}, 400, "d"),
        ("weaker", {"sequence": SEQUENCES[0]}, 404, "nothing is at this address"),
    ]:
        answer = requests.post(f"{address}/{question}", json=asked, timeout=60)
        assert answer.status_code == status
        assert message in answer.json()["error"]
