"""Licences of weights: which ones allow to pass them on, and the text that goes with them.

Identifiers are those of the SPDX list (spdx.org/licenses). Needs only the standard library.
"""

from __future__ import annotations

from zoo.errors import ZooError

OPEN = (
    "AGPL-3.0-only", "AGPL-3.0-or-later", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC-BY-4.0", "CC-BY-NC-4.0",
    "CC-BY-NC-SA-4.0", "CC-BY-SA-4.0", "CC0-1.0", "GPL-3.0-only", "GPL-3.0-or-later", "ISC", "LGPL-3.0-only",
    "LGPL-3.0-or-later", "MIT", "MPL-2.0", "Unlicense",
)  # fmt: skip
"""Licences that allow redistribution, if their text or a link to it goes with the weights."""

BY_LINK = "https://creativecommons.org/licenses/"
"""The licences of Creative Commons allow a link in place of their text."""

UNKNOWN = ("", "unknown")

MIT = """\
MIT License

Copyright (c) {holder}

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""


def identifier(licence: str) -> str | None:
    """The SPDX identifier of a licence that allows redistribution, in any case; None for any other text."""
    name = licence.strip().lower()
    for end in (" license", " licence"):
        name = name.removesuffix(end)
    return next((known for known in OPEN if known.lower() == name), None)


def spelled(licence: str) -> str:
    """A licence as the SPDX list spells it; any other text unchanged."""
    return identifier(licence) or licence


def check(licence: str, allowed: bool | None, where: str) -> None:
    """Raise ZooError unless weights under this licence may be passed on. allowed: what their card says.

    where: the weights, for the message.
    """
    if allowed is False:
        raise ZooError(f"{where}: the card says that these weights may not be passed on; licence: {licence}")
    if licence.strip().lower() in UNKNOWN:
        raise ZooError(
            f"{where}: the licence of these weights is unknown, so they are not packed; state it with --licence, by "
            "its SPDX identifier such as MIT or CC-BY-4.0"
        )
    if allowed is None and identifier(licence) is None:
        raise ZooError(
            f"{where}: the licence {licence!r} is no known SPDX identifier of a licence that allows redistribution; if "
            "it does, give --redistribution and its text with --licence-file"
        )


def text(licence: str, holder: str, source: str) -> str | None:
    """The content of the file LICENSE; None for a licence whose text must be given.

    holder: of the copyright.  source: of the weights.
    """
    name = identifier(licence)
    if name == "MIT":
        return MIT.format(holder=holder)
    if name is not None and name.startswith("CC"):
        return f"These weights are licensed under {name}: {_link(name)}\nAuthors: {holder}\nSource: {source}\n"
    return None


def _link(name: str) -> str:
    """Address of the text of a licence of Creative Commons: "CC-BY-NC-4.0" -> .../licenses/by-nc/4.0/."""
    if name == "CC0-1.0":
        return "https://creativecommons.org/publicdomain/zero/1.0/"
    terms, _, version = name.removeprefix("CC-").rpartition("-")
    return f"{BY_LINK}{terms.lower()}/{version}/"


def hub_identifier(licence: str) -> str | None:
    """The identifier of a licence on Hugging Face, which are in lower case without -only; None for another licence."""
    name = identifier(licence)
    return name and name.lower().removesuffix("-only").removesuffix("-or-later")
