"""Packs: folders of weights to publish, with test tensors and checksums, and those that were pulled from a hub.

`zoo pack` writes them (zoo/publish/pack.py). A pack in the cache has the name "hf:OWNER/NAME@REVISION".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

from zoo.errors import CheckFailed, ZooError
from zoo.system.files import cache_path, file_sha256
from zoo.weights import file_checks, test_tensors
from zoo.weights.test_tensors import TestTensors

STEM = "weights"
"""Name of the weights files without their suffix, the same as in a run folder."""

SUFFIXES = (".safetensors", ".onnx")

WEIGHTS = tuple(f"{STEM}{suffix}" for suffix in SUFFIXES)

TESTS, LICENCE, SUMS, README = "test.safetensors", "LICENSE", "SHA256SUMS", "README.md"

FILES = (*WEIGHTS, TESTS, LICENCE, README, SUMS)
"""Files that a pack can have. README.md is not in SHA256SUMS, since people edit it on the hub."""

COMMIT = "commit.txt"
"""Beside a pulled pack: the commit of the hub that it is."""

HUB = "hf:"
"""Start of the name of weights on a hub."""

BRANCH = "main"
"""Revision without another one."""

LONGEST_SUMS = 100_000
"""Bytes of SHA256SUMS."""

PART = r"\w[\w.-]{0,95}"
"""Owner or name of a repository."""

NAME = re.compile(rf"hf:(?P<owner>{PART})/(?P<name>{PART})(?:@(?P<revision>\w[\w./-]{{0,199}}))?", re.ASCII)

LINE = re.compile(r"(?P<digest>[0-9a-f]{64}) [ *](?P<name>.+)")


def is_hub_name(weights: object) -> bool:
    """Whether these are weights on a hub, by name."""
    return isinstance(weights, str) and weights.startswith(HUB)


def split_name(name: str) -> tuple[str, str]:
    """ "hf:OWNER/NAME@REVISION" -> "OWNER/NAME" and the revision, "main" without one. Raises ZooError for others."""
    found = NAME.fullmatch(name)
    if found is None or ".." in name:
        raise ZooError(f"expected weights on a hub as {HUB}OWNER/NAME or {HUB}OWNER/NAME@REVISION, got {name!r}")
    return f"{found['owner']}/{found['name']}", found["revision"] or BRANCH


def hub_folder(name: str) -> Path:
    """Where `zoo pull` keeps a pack of a hub. Raises ZooError as `split_name` does."""
    repository, revision = split_name(name)
    owner, _, short = repository.partition("/")
    return cache_path("pulled") / "hub" / owner / f"{short}@{quote(revision, safe='')}"


def pulled() -> Iterator[str]:
    """Names of all packs in the cache, sorted."""
    for folder in sorted(cache_path("pulled").glob("hub/*/*@*")):
        if is_pack(folder) and not folder.name.startswith("."):
            short, _, revision = folder.name.partition("@")
            yield f"{HUB}{folder.parent.name}/{short}@{unquote(revision)}"


def is_pack(folder: Path) -> bool:
    """Whether a folder is a pack."""
    return (folder / SUMS).is_file()


def pack_of(file: Path) -> Path | None:
    """The pack that a weights file belongs to; None for another file."""
    return file.parent if file.name in WEIGHTS and is_pack(file.parent) else None


def weights_in(folder: Path, suffixes: tuple[str, ...] = ()) -> Path | None:
    """The weights file of a pack: the first of these suffixes that it has, else one of SUFFIXES; None without any."""
    return next((file for suffix in (*suffixes, *SUFFIXES) if (file := folder / f"{STEM}{suffix}").is_file()), None)


def check(folder: Path) -> None:
    """Check the files of a pack against its SHA256SUMS.

    Raises ZooError if it is no pack; CheckFailed for a file that was changed, is missing, or is not listed.
    """
    sums = read_sums(folder)
    for name in (name for name in FILES if name not in (README, SUMS) and (folder / name).is_file()):
        if name not in sums:
            raise CheckFailed(f"{folder / name}: is not in {SUMS}; pack the weights again")
    for name, digest in sums.items():
        if not (folder / name).is_file():
            raise CheckFailed(f"{folder / name}: is missing, {SUMS} lists it")
        if (found := file_sha256(folder / name)) != digest:
            raise CheckFailed(f"{folder / name}: was changed: its sha256 begins {found[:12]}, in {SUMS} {digest[:12]}")


def read_sums(folder: Path) -> dict[str, str]:
    """File name -> sha256 (hex) in SHA256SUMS. Raises ZooError unless it lists weights and test tensors of a pack."""
    path = folder / SUMS
    if not path.is_file():
        raise ZooError(f"{folder}: expected a pack, which zoo pack writes; {SUMS} is missing")
    lines = path.read_bytes()[:LONGEST_SUMS].decode("utf-8", "replace").splitlines()
    sums = {}
    for number, line in enumerate(lines, 1):
        found = LINE.fullmatch(line)
        if found is None or found["name"] not in FILES:
            raise ZooError(f"{path}: line {number}: expected a sha256 and one of {', '.join(FILES)}, got {line!r}")
        sums[found["name"]] = found["digest"]
    if TESTS not in sums or not set(WEIGHTS) & set(sums):
        raise ZooError(f"{path}: expected {TESTS} and {' or '.join(WEIGHTS)}, got {', '.join(sums) or 'nothing'}")
    return sums


def sums(folder: Path) -> str:
    """The text of SHA256SUMS for the files of a folder, as `sha256sum -c` reads it."""
    names = sorted(path.name for path in folder.iterdir() if path.name not in (README, SUMS))
    return "".join(f"{file_sha256(folder / name)}  {name}\n" for name in names)


def read_tests(folder: Path) -> TestTensors:
    """The test tensors of a pack. Raises ZooError if they cannot be read."""
    path = folder / TESTS
    file_checks.check_file(path, "test tensors")
    try:
        return test_tensors.from_bytes(path.read_bytes())
    except ZooError as error:
        raise ZooError(f"{path}: {error}") from None
