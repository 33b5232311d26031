from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from zoo.errors import ZooError
from zoo.system.atomic import replacing, replacing_folder

Replacing = Callable[..., AbstractContextManager[Path]]

BOTH = pytest.mark.parametrize(("make", "replace"), [("touch", replacing), ("mkdir", replacing_folder)])


@BOTH
def test_an_interrupt_right_after_the_partial_was_made_leaves_nothing(
    make: str, replace: Replacing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    original = getattr(Path, make)

    def interrupted(self: Path, *arguments: object, **options: object) -> None:
        original(self, *arguments, **options)
        made.append(self)
        assert self.exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, make, interrupted)
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


@BOTH
def test_a_folder_that_cannot_be_written_to_is_one_line(
    make: str, replace: Replacing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, make, refused)
    with pytest.raises(ZooError, match=r"out: cannot be written \(Permission denied\)"), replace(tmp_path / "out"):
        pytest.fail("the block was entered")


def test_the_result_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "new").touch()
    with replacing(tmp_path / "out") as partial:
        assert partial.stat().st_mode & 0o077 == 0
        partial.write_text("whole")
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "new").stat().st_mode
    assert (tmp_path / "out").read_text() == "whole"
