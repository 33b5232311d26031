"""What the tests of the page do with it, through the driver of a browser."""

from __future__ import annotations

from typing import Any


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
