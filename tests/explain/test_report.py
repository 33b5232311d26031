"""report.html in a browser: rows, logo, heat map, hovering, keys; no error and no network."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import opened

from zoo.explain import report
from zoo.explain.report import Row
from zoo.prediction import description
from zoo.weights import lookup

LENGTH = 249

ROW_BASES = 83

DESCRIBED = {
    "version": "0.0",
    "command": "zoo explain seqs.fa -o out",
    "rc": None,
    "targets": ["dev", "hk"],
    "explained": ["dev", "hk"],
    "sequence_length": LENGTH,
    "counts": {"records": 250},
    "options": {"method": "deeplift", "shuffles": 100},
    "weights": {"bundled": None, "published": None, "id": "f" * 64, "source": "random numbers", "caution": "slow"},
}


def made_rows(number: int) -> list[Row]:
    random = np.random.default_rng(0)
    rows = []
    for index in range(number):
        codes = random.integers(0, 4, LENGTH, np.uint8)
        codes[10] = 4
        contributions = random.normal(0, 0.1, (2, LENGTH)).astype(np.float32)
        effects = random.normal(0, 0.5, (2, LENGTH, 4)).astype(np.float32)
        name = f"enhancer_{index}" if index != 1 else "</script><b>&ä"
        rows.append(Row(name, codes, np.array([index, -index], np.float32), contributions, effects))
    return rows


ROWS = made_rows(100)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / report.FILE
    report.write(path, ROWS, DESCRIBED)
    return path


def test_a_hundred_sequences_take_less_than_two_megabytes(page: Path) -> None:
    assert 500_000 < page.stat().st_size < 2_000_000


def test_the_page_makes_no_requests_and_names_cannot_end_its_data(page: Path) -> None:
    text = page.read_text("utf-8")
    assert not re.search(r"(?:src|href)\s*=|url\(|@import|fetch\(", text)
    assert text.count("</script>") == 2
    assert "default-src 'none'" in text


def test_the_error_of_bundled_weights_is_said_once(tmp_path: Path) -> None:
    for name in ("original", "tuned"):
        weights = description.of_weights(lookup.load(name).spec)
        report.write(tmp_path / report.FILE, ROWS[:1], {**DESCRIBED, "weights": weights})
        text = (tmp_path / report.FILE).read_text("utf-8")
        assert (text.count("typical error"), text.count("to imitate the weights")) == (1, 1)


def test_the_letters_are_those_of_the_named_font(page: Path) -> None:
    text_path = pytest.importorskip("matplotlib.textpath")
    from matplotlib.font_manager import FontProperties

    found = dict(re.findall(r'^  ([ACGT]): "(M[^"]+Z)",$', page.read_text("utf-8"), re.MULTILINE))
    for letter in "ACGT":
        outline = text_path.TextPath((0, 0), letter, size=100, prop=FontProperties(family="DejaVu Sans", weight="bold"))
        box = outline.get_extents()
        first = outline.vertices[0]
        x, y = round((first[0] - box.x0) / box.width * 1000), round((box.y1 - first[1]) / box.height * 1000)
        assert found[letter].startswith(f"M{x} {y}")
        numbers = [int(number) for number in re.findall(r"\d+", found[letter])]
        assert (min(numbers), max(numbers)) == (0, 1000)


@pytest.fixture(scope="module")
def browser(page: Path) -> Iterator[Any]:
    with opened() as driver:
        driver.get(page.as_uri())
        yield driver


def rows_of(browser: Any) -> list[Any]:
    return browser.find_elements("css selector", "article")


def press(browser: Any, *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    for key in keys:
        ActionChains(browser).send_keys(key).perform()


def drawn_letters(browser: Any, row: int) -> dict[str, int]:
    """Letter -> number of its outlines in the logos of a sequence."""
    script = (
        "const paths = document.querySelectorAll('article')[arguments[0]].querySelectorAll('svg path');"
        "return [...paths].map(path => [path.dataset.base, path.getAttribute('d')])"
    )
    one = {"A": 2, "C": 1, "G": 1, "T": 1}  # an A has a hole
    found: dict[str, int] = {}
    for base, path in browser.execute_script(script, row):
        found[base] = found.get(base, 0) + path.count("M") // one[base]
    return found


def counted(row: int) -> dict[str, int]:
    return {base: int((ROWS[row].codes == code).sum()) for code, base in enumerate("ACGT")}


def test_every_sequence_has_a_row_with_its_predictions(browser: Any) -> None:
    found = rows_of(browser)
    assert len(found) == 100
    assert found[3].find_element("css selector", "h2").text == "enhancer_3"
    assert "dev 3.00" in found[3].text
    assert "hk -3.00" in found[3].text
    assert found[1].find_element("css selector", "h2").text == "</script><b>&ä"
    assert "100 sequences of 250" in browser.find_element("id", "count").text


def test_the_logo_has_a_letter_for_each_base_and_none_for_n(browser: Any) -> None:
    assert drawn_letters(browser, 0) == counted(0)
    assert sum(counted(0).values()) == LENGTH - 1


def test_rows_are_drawn_when_they_come_into_view(browser: Any) -> None:
    assert drawn_letters(browser, 99) == {}
    browser.execute_script("document.querySelectorAll('article')[99].scrollIntoView()")
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(browser, 20).until(lambda driver: drawn_letters(driver, 99))
    assert drawn_letters(browser, 99) == counted(99)
    browser.execute_script("scrollTo(0, 0)")


def test_the_heat_map_has_the_colours_of_effects(browser: Any) -> None:
    pixels = (
        "const all = [...document.querySelectorAll('article canvas')].slice(0, 3).map(c =>"
        "[c, c.getContext('2d').getImageData(0, 0, c.width, c.height).data]);"
        "return arguments[0].map(([i, b]) => {"
        "const [c, data] = all[Math.floor(i / 83)];"
        "const [x, y] = [(i % 83 + .5) / 83 * c.width, (b + .5) / 4 * c.height].map(Math.floor);"
        "return [0, 1, 2].map(part => data[(y * c.width + x) * 4 + part])})"
    )
    effects = ROWS[0].effects[0].copy()
    effects[np.arange(LENGTH), np.minimum(ROWS[0].codes, 3)] = 0  # the bases that are there have a mark of their own
    raised, lowered = ([int(part) for part in divmod(int(place), 4)] for place in (effects.argmax(), effects.argmin()))
    warm, cold = browser.execute_script(pixels, [raised, lowered])
    assert warm[0] > warm[2]
    assert cold[0] < cold[2]


def test_a_colour_scale_has_the_largest_effect_at_both_ends(browser: Any) -> None:
    text = rows_of(browser)[0].find_element("css selector", ".scale").text.split()
    largest = np.abs(ROWS[0].effects[0]).max()
    assert text == ["effect", f"−{largest:.3f}", f"+{largest:.3f}"]
    assert "log2 enrichment" in browser.find_element("id", "reading").text


def test_a_sequence_has_rows_that_fit_the_page(browser: Any) -> None:
    drawings = rows_of(browser)[0].find_elements("css selector", ".drawing")
    assert len(drawings) == 3
    rulers = [drawing.find_element("css selector", ".ruler").text.split() for drawing in drawings]
    assert [number for ruler in rulers for number in ruler] == [str(at) for at in range(10, LENGTH, 10)]
    widths = {drawing.size["width"] for drawing in drawings}
    assert len(widths) == 1
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    scales = {drawing.find_element("xpath", "../..").text.split("\n")[1] for drawing in drawings}
    assert len(scales) == 1


def hover(browser: Any, row: int, position: int) -> str:
    from selenium.webdriver.common.action_chains import ActionChains

    drawing = rows_of(browser)[row].find_elements("css selector", ".drawing")[position // ROW_BASES]
    width = drawing.size["width"]
    offset = int((position % ROW_BASES + 0.5) / ROW_BASES * width - width / 2)
    ActionChains(browser).move_to_element_with_offset(drawing, offset, 0).perform()
    return browser.find_element("id", "tip").text


def expected_tip(row: int, position: int, target: int = 0) -> str:
    def signed(value: float) -> str:
        return f"{'−' if value < 0 else '+'}{abs(value):.{4 if abs(value) < 0.01 else 3}f}"

    shown = ROWS[row]
    own = "ACGTN"[shown.codes[position]]
    changes = [
        f"{own}→{base} {signed(shown.effects[target, position, code])}"
        for code, base in enumerate("ACGT")
        if base != own
    ]
    contribution = signed(shown.contributions[target, position])
    return f"{position + 1} {own}  contribution {contribution}\n" + "  ".join(changes)


@pytest.mark.parametrize("position", [0, 124, 200])
def test_hovering_shows_the_numbers(browser: Any, position: int) -> None:
    assert hover(browser, 0, position) == expected_tip(0, position)


def test_keys_move_between_sequences_and_bases_and_change_target_and_zoom(browser: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    hover(browser, 0, 50)
    press(browser, "j", "j")
    assert browser.switch_to.active_element.get_attribute("data-row") == "1"
    press(browser, "k", Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    text = browser.find_element("id", "tip").text
    at = int(text.split()[0]) - 1
    assert text == expected_tip(0, at)
    press(browser, "t", Keys.ARROW_RIGHT)
    assert browser.find_element("id", "tip").text == expected_tip(0, at + 1, target=1)
    press(browser, "t", "+", "+")
    drawing = rows_of(browser)[0].find_element("css selector", ".drawing")
    assert drawing.size["width"] == 10 * LENGTH
    press(browser, "-", "-", "-", Keys.ESCAPE)
    drawing = rows_of(browser)[0].find_element("css selector", ".drawing")
    assert drawing.size["width"] < 1300
    assert not browser.find_element("id", "tip").is_displayed()


def test_sequences_can_be_ordered_and_found_by_name(browser: Any) -> None:
    browser.execute_script(
        "const o = document.getElementById('order'); o.value = 0; o.dispatchEvent(new Event('change'))"
    )
    assert rows_of(browser)[0].get_attribute("data-row") == "99"
    find = browser.find_element("id", "filter")
    find.send_keys("HANCER_42")
    assert [row.get_attribute("data-row") for row in rows_of(browser)] == ["42"]
    find.clear()
    find.send_keys(" ")
    assert rows_of(browser) == []
    assert browser.find_element("id", "rows").text
    browser.refresh()


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_page_follows_the_colours_of_the_system(browser: Any, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    script = "return ['backgroundColor', 'color'].map(one => getComputedStyle(document.body)[one])"
    page, ink = ([int(part) for part in re.findall(r"\d+", one)[:3]] for one in browser.execute_script(script))
    assert (sum(page) < sum(ink)) == (scheme == "dark")


def test_after_all_this_the_console_is_silent(browser: Any) -> None:
    assert browser.get_log("browser") == []


def test_the_numbers_are_kept_to_a_thirty_thousandth_of_the_largest(page: Path) -> None:
    data = json.loads(re.search(r'id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)[1])  # type: ignore[index]
    for row, kept in zip(ROWS[:3], data["rows"], strict=False):
        for values, (scale, text) in zip(row.effects, kept["effects"], strict=True):
            found = scale * np.frombuffer(base64.b64decode(text), "<i2")
            np.testing.assert_allclose(found, values.ravel(), atol=np.abs(values).max() / 60_000)
