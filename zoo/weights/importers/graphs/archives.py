"""Zip archives of other programs: their records, with bounds, before a framework opens them."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from zoo.errors import ZooError
from zoo.weights import file_checks

MOST_RECORDS = 100_000

READ_ERRORS = (
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    EOFError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)
"""Errors for an archive that is damaged or encrypted."""


def records(path: Path) -> dict[str, bytes]:
    """Name -> content of every record.

    Raises ZooError for an archive that is damaged, has two records of one name, or holds more than file_checks.LARGEST
    bytes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            file_checks.check_bytes(sum(entry.file_size for entry in entries), str(path), "unpacks to")
            if len(entries) > MOST_RECORDS or len({entry.filename for entry in entries}) != len(entries):
                raise ValueError("it has too many records, or two of one name")
            found = {}
            for entry in entries:
                with archive.open(entry) as record:
                    found[entry.filename] = record.read(entry.file_size)
            return found
    except READ_ERRORS as error:
        raise ZooError(f"{path}: is a damaged archive; copy or download it again ({error})") from None


def packed(content: Mapping[str, bytes]) -> io.BytesIO:
    """A new archive of these records, uncompressed, as PyTorch writes them."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, record in content.items():
            archive.writestr(name, record)
    file.seek(0)
    return file
