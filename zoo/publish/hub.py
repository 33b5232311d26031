"""Packs of a hub, fetched with huggingface_hub into the cache: a pack gets its name after its checksums and its test.

The hub is Hugging Face, or the address in HF_ENDPOINT. Its library knows tokens, proxies and mirrors.
"""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import zoo
from zoo.checks import parity, stored
from zoo.errors import CheckFailed, ZooError, ZooWarning, require
from zoo.prediction import session
from zoo.prediction.model import Model, load
from zoo.system.atomic import replacing_folder
from zoo.weights import file_checks, packs

TIMEOUT_SECONDS = 15.0
"""Longest wait for an answer of the hub about a repository."""

OFFLINE = ("ZOO_OFFLINE", "HF_HUB_OFFLINE")
"""Environment variables that forbid the network."""


def from_pretrained(name: str, revision: str | None = None, **options: Any) -> Model:
    """Load weights of a hub, which are fetched if they are not in the cache or have changed: see `fetch`.

    name: OWNER/NAME, or "hf:OWNER/NAME@REVISION".  revision: a branch, a tag or a commit; "main" by default.
    options: those of zoo.load, such as `runtime` and `rc`.
    Raises ZooError as `fetch` and zoo.load do.
    """
    full = name if packs.is_hub_name(name) else f"{packs.HUB}{name}"
    if revision is not None:
        if "@" in full:
            raise ZooError(f"revision: {name!r} names one already, got {revision!r} too")
        full = f"{full}@{revision}"
    fetch(full)
    return load(weights=full, **options)


def fetch(name: str, offline: bool | None = None) -> Path:
    """Fetch a pack, "hf:OWNER/NAME@REVISION", unless the cache has the newest commit of the revision.

    offline: use the cache alone; None asks the environment.  Returns its folder. If the hub is not reached, a pack in
    the cache is used, with a ZooWarning.
    Raises ZooError if there is no such repository or revision, if it is no pack, and without the hub and a copy;
    CheckFailed if a file is not the one in SHA256SUMS or the test tensors give other numbers. Then the cache keeps what
    it had.
    """
    repository, revision = packs.split_name(name)
    folder = packs.hub_folder(name)
    if any(os.environ.get(variable, "0") not in ("", "0") for variable in OFFLINE) if offline is None else offline:
        if packs.is_pack(folder):
            return folder
        raise ZooError(
            f"{name}: is not in the cache, and the network is not used; run zoo pull {name} without --offline, "
            "ZOO_OFFLINE and HF_HUB_OFFLINE"
        )
    require("huggingface_hub", "hub", name)
    try:
        commit, sizes = _Hub(name).listed(repository, revision)
    except _Unreached as error:
        if not packs.is_pack(folder):
            raise ZooError(str(error)) from None
        warnings.warn(ZooWarning(f"{error}; using the copy in the cache, commit {_commit(folder)[:12]}"), stacklevel=2)
        return folder
    if _commit(folder) == commit and _is_whole(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(folder, overwrite=True, ours=(*packs.FILES, packs.COMMIT)) as partial:
        for file in (file for file in packs.FILES if file in sizes):
            _Hub(name).download(repository, commit, file, partial)
        shutil.rmtree(partial / ".cache", ignore_errors=True)  # notes of the library
        _check(partial, name)
        (partial / packs.COMMIT).write_text(f"{commit}\n", "ascii")
    return folder


class _Unreached(Exception):  # noqa: N818
    """The hub does not answer; the text says which."""


class _Hub:
    """What is asked of the hub. Errors of its library become a ZooError about `name`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.endpoint = (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")

    def listed(self, repository: str, revision: str) -> tuple[str, dict[str, int]]:
        """The commit of a revision, and file -> bytes. Raises ZooError if these are not the files of a pack."""
        from huggingface_hub import HfApi

        api = HfApi(endpoint=self.endpoint, library_name="deepstarr-zoo", library_version=zoo.__version__)
        info = self._asked(api.model_info, repository, revision=revision, files_metadata=True, timeout=TIMEOUT_SECONDS)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        if packs.SUMS not in sizes or packs.TESTS not in sizes or not set(packs.WEIGHTS) & set(sizes):
            found = ", ".join(sorted(sizes)[:8]) or "nothing"
            raise ZooError(f"{self._name}: expected a pack, which zoo pack writes; the repository has {found}")
        for file in set(packs.FILES) & set(sizes):
            file_checks.check_bytes(sizes[file], f"{self._name}: {file}", "has")
        return str(info.sha), sizes

    def download(self, repository: str, commit: str, file: str, folder: Path) -> None:
        """Write a file of a repository into a folder."""
        from huggingface_hub import hf_hub_download

        try:
            self._asked(
                hf_hub_download, repository, file, revision=commit, local_dir=folder, endpoint=self.endpoint,
                library_name="deepstarr-zoo", library_version=zoo.__version__,
            )  # fmt: skip
        except _Unreached as error:
            raise ZooError(f"{error}, at {file}; run the command again") from None

    def _asked(self, ask: Any, *words: Any, **options: Any) -> Any:
        from huggingface_hub import errors

        # the errors of connections are those of the HTTP library that this release is made with
        connection = getattr(errors, "HTTPError", OSError)
        try:
            return ask(*words, **options)
        except errors.RevisionNotFoundError:
            raise ZooError(f"{self._name}: the hub has no such revision of {words[0]}") from None
        except errors.GatedRepoError:
            raise ZooError(
                f"{self._name}: its authors ask you to accept their terms on {self.endpoint} first"
            ) from None
        except errors.RepositoryNotFoundError:
            raise ZooError(
                f"{self._name}: {self.endpoint} has no model {words[0]}, or it is private; hf auth login gives access"
            ) from None
        except (errors.HfHubHTTPError, connection, errors.FileMetadataError, OSError, ValueError) as error:
            status = getattr(getattr(error, "response", None), "status_code", None)
            how = f"answered {status}" if status else "was not reached"
            raise _Unreached(f"{self._name}: {self.endpoint} {how}") from None


def _commit(folder: Path) -> str:
    """The commit of a pack in the cache; empty without one."""
    path = folder / packs.COMMIT
    return path.read_text("ascii", "replace").strip() if path.is_file() else ""


def _is_whole(folder: Path) -> bool:
    """Whether a pack in the cache still has the files of its checksums."""
    try:
        packs.check(folder)
    except ZooError:
        return False
    return True


def _check(folder: Path, name: str) -> None:
    """Raise CheckFailed unless the files are those of SHA256SUMS and each gives the numbers of the test tensors."""
    try:
        packs.check(folder)
        for file in (folder / each for each in packs.WEIGHTS if (folder / each).is_file()):
            runtime = parity.first_usable(parity.Subject(weights=file), session.automatic()).runtime
            for test in stored.run(file, [runtime]).failed:
                raise CheckFailed(f"{file.name}: {test.difference}")
    except ZooError as error:
        text = str(error).replace(f"{folder}/", "").replace(str(folder), name)
        raise (CheckFailed if isinstance(error, CheckFailed) else ZooError)(f"{name}: {text}") from None
