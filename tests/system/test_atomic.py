"""Outputs are whole or absent, and never where they do harm; what the dead left is cleared, and only that."""

from __future__ import annotations

import errno
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from refusals import refuses

from zoo.system import atomic, machine
from zoo.system.atomic import check_folder_target, check_target, replacing, replacing_folder, replacing_together

ROOT = Path(__file__).parents[2]

Replacing = Callable[..., AbstractContextManager[Path]]

BOTH = pytest.mark.parametrize(("make", "replace"), [("touch", replacing), ("mkdir", replacing_folder)])


@pytest.mark.parametrize("replace", [replacing, replacing_folder])
def test_an_interrupt_right_after_the_partial_was_made_leaves_nothing(
    replace: Replacing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    original = Path.mkdir

    def interrupted(self: Path, *arguments: object, **options: object) -> None:
        original(self, *arguments, **options)
        made.append(self)
        assert self.exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "mkdir", interrupted)
    with pytest.raises(KeyboardInterrupt), replace(tmp_path / "out"):
        pytest.fail("the block was entered")
    assert len(made) == 1
    assert not list(tmp_path.iterdir())


@BOTH
def test_a_block_that_fails_leaves_what_was_there(make: str, replace: Replacing, tmp_path: Path) -> None:
    target = tmp_path / "out"
    getattr(target, make)()
    before = target.stat().st_ino
    with pytest.raises(ZeroDivisionError), replace(target, overwrite=True):
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert target.stat().st_ino == before


@pytest.mark.parametrize("replace", [replacing, replacing_folder])
def test_a_folder_that_cannot_be_written_to_is_one_line(
    replace: Replacing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refused)
    with refuses(tmp_path / "out", "Permission denied"), replace(tmp_path / "out"):
        pytest.fail("the block was entered")


def test_the_result_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "new").touch()
    with replacing(tmp_path / "out") as partial:
        assert partial.parent.stat().st_mode & 0o077 == 0
        partial.write_text("whole")
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "new").stat().st_mode
    assert (tmp_path / "out").read_text() == "whole"


@BOTH
def test_a_system_without_locks_writes_all_the_same(
    make: str, replace: Replacing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "fcntl", None)  # an import of it fails, as on Windows
    with replace(tmp_path / "out") as partial:
        getattr(partial, make)(exist_ok=True)
        assert [path.name for path in tmp_path.iterdir()] != ["out"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_file_is_flushed_by_a_handle_that_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows flushes through no other."""
    flushed = []

    def flush(handle: int) -> None:
        os.write(handle, b"w")
        flushed.append(handle)

    monkeypatch.setattr(os, "fsync", flush)
    with replacing(tmp_path / "out") as partial:
        partial.write_text("?hole")
    assert (tmp_path / "out").read_text() == "whole"
    assert len(flushed) == 1


POSIX = pytest.mark.skipif(sys.platform == "win32", reason="devices, pipes and locks as on POSIX")


class TestWhatIsReplaced:
    """Point: --overwrite replaces regular files, and never an input."""

    @POSIX
    def test_a_device_a_pipe_and_a_socket_are_not(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(tmp_path / "socket"))
        expected = {Path(os.devnull): "a device", tmp_path / "pipe": "a pipe", tmp_path / "socket": "a socket"}
        for path, kind in expected.items():
            with refuses(path, kind):
                check_target(path, overwrite=True)
        (tmp_path / "link").symlink_to(os.devnull)
        with refuses(tmp_path / "link", "a device"):
            check_target(tmp_path / "link", overwrite=True)

    def test_a_link_to_nothing_is_not(self, tmp_path: Path) -> None:
        link = tmp_path / "link"
        link.symlink_to(tmp_path / "nothing")
        for overwrite in (False, True):
            with refuses(link, "link"):
                check_target(link, overwrite)
        assert link.is_symlink()

    def test_a_link_to_a_file_is_followed(self, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        held, link = tmp_path / "elsewhere" / "held", tmp_path / "link"
        held.write_text("old")
        link.symlink_to(held)
        with refuses(link, "--overwrite"):
            check_target(link)
        with replacing(link, overwrite=True) as partial:
            partial.write_text("new")
        assert link.is_symlink()
        assert held.read_text() == "new"
        assert [path.name for path in held.parent.iterdir()] == ["held"]

    def test_an_input_is_not_under_any_name(self, tmp_path: Path) -> None:
        source, link, other = tmp_path / "seqs.fa", tmp_path / "link", tmp_path / "other"
        source.write_text(">s")
        link.symlink_to(source)
        other.hardlink_to(source)
        for path in (source, link, other, tmp_path / "." / "seqs.fa"):
            for overwrite in (False, True):
                with refuses(path, "input"):
                    check_target(path, overwrite, [None, "absent", str(source)])
        check_target(tmp_path / "new", True, [source])

    def test_standard_input_is_an_input(self, tmp_path: Path) -> None:
        (tmp_path / "seqs.fa").write_text(">s")
        code = "import sys; from pathlib import Path; from zoo.system.atomic import check_target; "
        code += "check_target(Path(sys.argv[1]), True, ['-'])"
        with (tmp_path / "seqs.fa").open() as given:
            command = [sys.executable, "-c", code, str(tmp_path / "seqs.fa")]
            done = subprocess.run(command, stdin=given, capture_output=True, text=True, cwd=ROOT, check=False)
        assert re.search(r"ZooError: \S+seqs\.fa: .*\binput\b", done.stderr)

    def test_a_folder_that_holds_an_input_is_not(self, tmp_path: Path) -> None:
        folder = tmp_path / "report"
        folder.mkdir()
        (folder / "predictions.tsv").write_text("measured")
        for read in (folder / "predictions.tsv", folder):
            with refuses(folder, "input", read.name):
                check_folder_target(folder, True, ("*.tsv",), [read])
        check_folder_target(folder, True, ("*.tsv",), [tmp_path])

    def test_a_folder_with_a_link_among_its_files_is_not(self, tmp_path: Path) -> None:
        folder = tmp_path / "report"
        folder.mkdir()
        (tmp_path / "precious.tsv").write_text("x")
        (folder / "predictions.tsv").symlink_to(tmp_path / "precious.tsv")
        with refuses(folder, "predictions.tsv"):
            check_folder_target(folder, True, ("*.tsv",))


DYING = """
import os, signal, sys
from pathlib import Path
from zoo.system.atomic import replacing, replacing_folder, temporary_folder
with {what} as partial:
    print(partial, flush=True)
    sys.stdin.read()
"""


def start(what: str, folder: Path) -> subprocess.Popen[str]:
    """A process within the block of `what`, in `folder`; it waits for its standard input to end."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [sys.executable, "-c", DYING.format(what=what)],
        stdin=pipe,
        stdout=pipe,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


KINDS = pytest.mark.parametrize(
    "what", ["replacing(Path('a.txt'))", "replacing_folder(Path('a'))", "temporary_folder(Path())"]
)


@POSIX
class TestLeftOver:
    """Point: what dead processes left is cleared by the next run in the folder, a living one's never."""

    @KINDS
    def test_of_a_killed_process_it_is_cleared(self, what: str, tmp_path: Path) -> None:
        with start(what, tmp_path) as process:
            process.kill()
        assert len(list(tmp_path.iterdir())) == 1
        with replacing(tmp_path / "b.txt") as partial:
            partial.write_text("b")
        assert [path.name for path in tmp_path.iterdir()] == ["b.txt"]

    @KINDS
    def test_of_a_living_process_it_stays(self, what: str, tmp_path: Path) -> None:
        with start(what, tmp_path) as process:
            with replacing(tmp_path / "b.txt") as partial:
                partial.write_text("b")
            assert len(list(tmp_path.iterdir())) == 2
            process.kill()

    def test_of_this_process_it_stays(self, tmp_path: Path) -> None:
        with replacing(tmp_path / "a.txt") as outer, replacing_folder(tmp_path / "b") as inner:
            atomic.clear_left_over(tmp_path)
            assert outer.parent.is_dir()
            assert inner.is_dir()
            outer.write_text("a")
        assert {path.name for path in tmp_path.iterdir()} == {"a.txt", "b"}

    def test_a_file_that_a_library_replaces_while_it_writes_is_safe(self, tmp_path: Path) -> None:
        with replacing(tmp_path / "a.txt") as partial:
            (partial.parent / "temporary").write_text("a")
            (partial.parent / "temporary").replace(partial)
            atomic.clear_left_over(tmp_path)
        assert (tmp_path / "a.txt").read_text() == "a"

    def test_of_another_machine_it_is_cleared_after_a_day(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with start("replacing(Path('a.txt'))", tmp_path) as process:
            process.kill()
        (left,) = tmp_path.iterdir()
        monkeypatch.setattr(machine, "BOOT_ID", tmp_path / "another")
        atomic.clear_left_over(tmp_path)
        assert left.is_dir()
        os.utime(left, (0, 0))
        atomic.clear_left_over(tmp_path)
        assert not left.exists()

    def test_a_folder_that_was_being_replaced_comes_back(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "x.txt").write_text(name)
        with start("replacing_folder(Path('a'), True, ('*.txt',))", tmp_path) as process:
            process.kill()
        (left,) = (path for path in tmp_path.iterdir() if path.suffix == ".part")
        # as between its two renames, and as after them
        (tmp_path / "a").rename(left.with_suffix(".before"))
        (tmp_path / "b").rename(left.with_name(left.name.replace(".a.", ".c.")).with_suffix(".before"))
        (tmp_path / "c").mkdir()
        atomic.clear_left_over(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {"a", "c"}
        assert (tmp_path / "a" / "x.txt").read_text() == "a"

    def test_what_is_called_otherwise_is_not_ours(self, tmp_path: Path) -> None:
        names = [".a.part", ".a.zoo-1-2.part", "a.zoo-01234567-0123456789abcdef.part", ".a.txt.0123456789abcdef.part"]
        for name in names:
            (tmp_path / name).mkdir()
        ours = ".a.zoo-01234567-0123456789abcdef.part"
        (tmp_path / ours).touch()  # a file of that name
        atomic.clear_left_over(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {*names, ours}


class TestTogether:
    """Point: files of one run appear together or can be told apart."""

    def test_the_last_gets_its_name_last(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first, last = tmp_path / "out.json", tmp_path / "out.tsv"
        renamed = []
        rename = Path.replace

        def noted(self: Path, target: Path) -> Path:
            renamed.append((target.name, first.exists(), last.exists()))
            return rename(self, target)

        monkeypatch.setattr(Path, "replace", noted)
        with replacing_together({first: False, last: False}) as (one, two):
            one.write_text("1")
            two.write_text("2")
        assert renamed == [("out.json", False, False), ("out.tsv", True, False)]
        assert (first.read_text(), last.read_text()) == ("1", "2")

    def test_an_interrupt_between_the_renames_takes_the_first_away(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rename = Path.replace

        def interrupted(self: Path, target: Path) -> Path:
            if target.name == "out.tsv":
                raise KeyboardInterrupt
            return rename(self, target)

        monkeypatch.setattr(Path, "replace", interrupted)

        def write() -> None:
            with replacing_together({tmp_path / "out.json": False, tmp_path / "out.tsv": False}) as partials:
                for partial in partials:
                    partial.touch()

        with pytest.raises(KeyboardInterrupt):
            write()
        assert not list(tmp_path.iterdir())


class OtherLibraryError(Exception):
    """What a library raises that writes files without Python."""


@pytest.mark.parametrize("replace", [replacing, replacing_folder])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_one_line_whatever_the_library(replace: Replacing, number: int, tmp_path: Path) -> None:
    text = os.strerror(number)
    for error in (OSError(number, text), OtherLibraryError(f"I/O error: {text} (os error {number})")):
        with refuses(tmp_path / "out", text), replace(tmp_path / "out"):
            raise error
    with pytest.raises(OtherLibraryError), replace(tmp_path / "out"):
        raise OtherLibraryError("something else")
    assert not list(tmp_path.iterdir())
