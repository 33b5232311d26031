"""Records in: every way to write the same FASTA gives the same records; what is not FASTA is refused by its place."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import dnaio
import numpy as np
import pytest
import xopen
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refuses

from zoo.dna.encoding import encode, encode_as
from zoo.dna.read_options import STRICT, ReadOptions
from zoo.errors import ZooError
from zoo.formats import text_input
from zoo.formats.fasta import BLOCK_BYTES, Reader, check_readable

LENGTH = 12

WRITTEN = b">first of three\nACGTACGTACGT\n>second\tx\nacgtn\nNNNnn\nTT\n\n>third\r\nTTTTTTTTTTTT"
NAMES = ["first", "second", "third"]
SEQUENCES = ["ACGTACGTACGT", "ACGTNNNNNNTT", "TTTTTTTTTTTT"]


def read(path: Path, length: int = LENGTH, reading: ReadOptions = STRICT) -> tuple[list[str], list[str]]:
    """Names and sequences, all batches together."""
    names: list[str] = []
    texts: list[str] = []
    for batch_names, codes in Reader(path, length, reading=reading):
        assert codes.dtype == np.uint8
        assert codes.shape == (len(batch_names), length)
        names += batch_names
        texts += ["".join("ACGTN"[code] for code in row) for row in codes]
    return names, texts


def check_refused(path: Path, *facts: object, reading: ReadOptions = STRICT) -> None:
    """Reading raises ZooError with the path and these facts."""
    with refuses(path, *facts):
        read(path, reading=reading)


@pytest.fixture
def fasta(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        path = tmp_path / "seqs.fa"
        path.write_bytes(content)
        return path

    return write


def bgzip(content: bytes, block: int = 20) -> bytes:
    """As the SAM specification has it, section 4.1: gzip members that know their size, and an empty one at the end."""
    members = b""
    for start in range(0, len(content), block):
        piece = content[start : start + block]
        packer = zlib.compressobj(wbits=-15)
        packed = packer.compress(piece) + packer.flush()
        header = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff" + struct.pack("<H2sHH", 6, b"BC", 2, len(packed) + 25)
        members += header + packed + struct.pack("<II", zlib.crc32(piece), len(piece))
    return members + text_input.BGZIP_END


COMPRESSIONS = {"gzip": gzip.compress, "bgzip": bgzip, "bzip2": bz2.compress, "xz": lzma.compress}


def test_names_end_at_white_space_and_lines_case_and_line_ends_do_not_matter(fasta: Callable[[bytes], Path]) -> None:
    assert read(fasta(WRITTEN)) == (NAMES, SEQUENCES)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_compressed_files_are_known_by_their_content(fasta: Callable[[bytes], Path], compression: str) -> None:
    assert read(fasta(COMPRESSIONS[compression](WRITTEN))) == (NAMES, SEQUENCES)


def test_zstd_files_are_known_by_their_content(tmp_path: Path) -> None:
    with xopen.xopen(tmp_path / "seqs.zst", "wb", threads=0) as file:
        file.write(WRITTEN)
    path = (tmp_path / "seqs.zst").rename(tmp_path / "seqs.fa")
    assert read(path) == (NAMES, SEQUENCES)
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    check_refused(path, "cut off")
    path.write_bytes(whole[:4] + b"\xff" * 6 + whole[10:])
    check_refused(path, "damaged")


record = st.tuples(
    st.text("abcXYZ019_.|:=+-", min_size=1, max_size=12),
    st.sampled_from(["", " described", "\tafter a tab", "  two  blanks "]),
    st.text("ACGTNacgtn", min_size=LENGTH, max_size=LENGTH),
    st.integers(1, LENGTH + 2),
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(record, min_size=1, max_size=7),
    st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n"]),
    st.booleans(),
    st.integers(1, 90),
    st.integers(1, 5),
)
def test_blocks_cut_anywhere_give_what_a_reader_line_by_line_gives(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[tuple[str, str, str, int]],
    line_end: bytes,
    ends: bool,
    block_bytes: int,
    batch_size: int,
) -> None:
    lines: list[bytes] = []
    for name, description, text, width in records:
        lines.append(f">{name}{description}".encode())
        lines += [text[start : start + width].encode() for start in range(0, LENGTH, width)]
    path = tmp_path_factory.getbasetemp() / "blocks.fa"
    path.write_bytes(line_end.join(lines) + (line_end if ends else b""))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.formats.fasta.BLOCK_BYTES", block_bytes)
        reader = Reader(path, LENGTH, batch_size)
        batches = list(reader)
    with dnaio.open(path) as expected_records:
        expected = [(record.name.split(maxsplit=1)[0], record.sequence) for record in expected_records]
    assert [name for names, _ in batches for name in names] == [name for name, _ in expected]
    assert np.array_equal(np.concatenate([codes for _, codes in batches]), encode([text for _, text in expected]))
    assert [len(names) for names, _ in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert reader.counts.records == len(records)


def test_equal_names_and_names_that_are_not_utf_8_are_kept(fasta: Callable[[bytes], Path]) -> None:
    names, _ = read(fasta(b">a\nACGTACGTACGT\n>a\nACGTACGTACGT\n>caf\xe9\nACGTACGTACGT\n>\nACGTACGTACGT\n"))
    assert [name.encode("utf-8", "surrogateescape") for name in names] == [b"a", b"a", b"caf\xe9", b""]


def test_a_byte_order_mark_and_blank_lines_before_the_first_header_are_skipped(
    fasta: Callable[[bytes], Path],
) -> None:
    assert read(fasta(b"\xef\xbb\xbf\r\n\n>a\nACGTACGTACGT\n"))[0] == ["a"]


def test_reading_does_not_run_ahead_of_what_is_asked_for(fasta: Callable[[bytes], Path]) -> None:
    path = fasta(WRITTEN.rstrip() + b"\n" + b">more\nACGTACGTACGT\n" * 200_000)
    reader = Reader(path, LENGTH, batch_size=10)
    next(iter(reader))
    assert 0 < reader.bytes_read <= 2 * BLOCK_BYTES < path.stat().st_size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ACGT" * 3, "ACGTACGTACGT"),
        ("G" + "ACGT" * 3, "GACGTACGTACG"),  # one too many: cut from the right
        ("GG" + "ACGT" * 3 + "CC", "ACGTACGTACGT"),
        ("ACGTACGTACG", "ACGTACGTACGN"),  # one too few: padded at the right
        ("TT", "NNNNNTTNNNNN"),
        ("ACGT" * 12, "GTACGTACGTAC"),
    ],
)
def test_resize_center_crops_and_pads_around_the_middle(
    fasta: Callable[[bytes], Path], text: str, expected: str
) -> None:
    path = fasta(f">a\n{text[:1]}\n{text[1:]}\n>b\n{'A' * LENGTH}\n".encode())
    reader = Reader(path, LENGTH, reading=ReadOptions(resize="center"))
    ((names, codes),) = reader
    assert names == ["a", "b"]
    assert np.array_equal(codes, encode([expected, "A" * LENGTH]))
    assert reader.counts.resized == (len(text) != LENGTH)


@pytest.mark.parametrize("reading", [STRICT, ReadOptions(resize="center")])
def test_a_contig_is_not_cropped_to_its_middle(fasta: Callable[[bytes], Path], reading: ReadOptions) -> None:
    path = fasta(b">a\nACGTACGTACGT\n>chr2L x\n" + b"ACGTACG\n" * 7)
    check_refused(path, "record 2 (chr2L)", 12, 49, "zoo predict --bed", "zoo scan", reading=reading)
    path = fasta(b">a\nACGTACGTACGT\n>chr2L x\n" + b"ACGTACG\n" * 700_000)
    check_refused(path, "record 2 (chr2L)", 12, 48, "zoo predict --bed", "zoo scan", reading=reading)


MEGABYTE = 1 << 20


def peak_memory(path: Path, reading: ReadOptions, length: int = LENGTH, batch_size: int = 4096) -> int:
    """Bytes that are taken at most while a file is read to its end or its refusal."""
    tracemalloc.start()
    try:
        for _ in Reader(path, length, batch_size, reading):
            pass
    except ZooError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


@pytest.mark.parametrize(
    ("unit", "facts"),
    [
        (b"ACGT", ["record 2 (bomb)", 12, 48]),
        (b"\n \n", ["record 2 (bomb)", 12, "4,194,304", "blank"]),
        (b"bomb", ["record 2 (bombbombbombbombbombbombbombbombbombbomb...)", "header", "1,048,576"]),
    ],
)
@pytest.mark.parametrize("reading", [STRICT, ReadOptions(resize="center", ambiguous="n")])
def test_a_record_or_a_name_that_never_ends_is_refused_in_bounded_memory(
    fasta: Callable[[bytes], Path], unit: bytes, facts: list[object], reading: ReadOptions
) -> None:
    header = b">" if unit == b"bomb" else b">bomb\n"
    block = gzip.compress(unit * (MEGABYTE // len(unit)), 1)
    path = fasta(gzip.compress(b">a\nACGTACGTACGT\n" + header) + 100 * block)
    check_refused(path, *facts, reading=reading)
    assert peak_memory(path, reading) < 40 * MEGABYTE


def test_small_records_padded_to_long_sequences_take_bounded_memory(
    fasta: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.formats.fasta.CODES_BYTES", MEGABYTE)
    path = fasta(b"".join(b">%d\nA\n" % number for number in range(4000)))
    reading = ReadOptions(resize="center")
    assert peak_memory(path, reading, 20_000, batch_size=50) < 10 * MEGABYTE < 4000 * 20_000
    assert read(path, 20, reading) == ([str(number) for number in range(4000)], ["N" * 9 + "A" + "N" * 10] * 4000)


def test_blanks_at_the_ends_of_lines_take_no_time(fasta: Callable[[bytes], Path]) -> None:
    """A round for each blank would take minutes here."""
    path = fasta((b">a" + b" " * 300_000 + b"\nACGTACGTACGT" + b"\t" * 300_000 + b"\n") * 3)
    assert read(path) == (["a"] * 3, ["ACGTACGTACGT"] * 3)


@pytest.mark.parametrize("end", ["\r", "\v", "\f", "\0", "\x1b", "\x7f", "\x85", "\u2028", "\xa0", "\x1c"])
def test_a_name_ends_at_any_control_character(fasta: Callable[[bytes], Path], end: str) -> None:
    path = fasta(f">first{end}rest\nACGTACGTACGT\n>{end}second\nACGTACGTACGT\n>{end}\nACGTACGTACGT\n".encode())
    assert read(path)[0] == ["first", "second", ""]


def test_more_than_half_unknown_is_counted(fasta: Callable[[bytes], Path]) -> None:
    sequences = [b"N" * 6 + b"ACGTAC", b"N" * 7 + b"ACGTA", b"ACGTA", b"ACGTAC", b"RRRRRRRACGTA", b"n" * 12]
    path = fasta(b"".join(b">x\n%b\n" % sequence for sequence in sequences))
    reader = Reader(path, LENGTH, reading=ReadOptions("center", "n"))
    list(reader)
    assert reader.counts.mostly_unknown == 4
    assert reader.counts.resized == 2
    reader = Reader(fasta(b">x\nNNNNNNNACGTA\n>y\nACGTACGTACGT\n>z\nNNNNNNACGTAC\n"), LENGTH)
    list(reader)
    assert reader.counts.mostly_unknown == 1


def test_a_compressed_file_that_changes_while_it_is_read_is_refused(
    fasta: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.formats.fasta.BLOCK_BYTES", 1000)
    for compress in (bytes, gzip.compress):
        content = compress(b">a\nACGTACGTACGT\n" * 200)
        path = fasta(content)
        batches = iter(Reader(path, LENGTH, batch_size=1))
        next(batches)
        with path.open("ab") as file:
            file.write(content)
        with refuses(path, f"{len(content):,}", f"{2 * len(content):,}"):
            list(batches)


@pytest.mark.parametrize("word", ["NA", "nan", "NaN", "null", "None", "NULL"])
def test_a_word_for_a_missing_value_is_no_sequence(fasta: Callable[[bytes], Path], word: str) -> None:
    path = fasta(f">a\nACGT\n>b\n{word[:2]}\n{word[2:]}\n>c\nA\n".encode())
    for reading in (ReadOptions(resize="center"), ReadOptions(resize="center", ambiguous="n")):
        check_refused(path, "record 2 (b)", repr(word), "missing", reading=reading)
        with refuses("sequence 2", repr(word), "missing"):
            encode_as(["ACGT", word], LENGTH, reading, lambda number: f"sequence {number}")
    assert encode_as(["NAA", "NN"], LENGTH, ReadOptions(resize="center"), str).shape == (2, LENGTH)


def test_resized_to_the_middle_like_the_text_itself(fasta: Callable[[bytes], Path]) -> None:
    random = np.random.default_rng(0)
    texts = ["".join("ACGT"[code] for code in random.integers(0, 4, size)) for size in random.integers(1, 40, 300)]
    path = fasta("".join(f">{number}\n{text}\n" for number, text in enumerate(texts)).encode())

    def middle(text: str) -> str:
        cut = max(0, len(text) - LENGTH) // 2
        text = text[cut : cut + LENGTH]
        left = (LENGTH - len(text)) // 2
        return "N" * left + text + "N" * (LENGTH - len(text) - left)

    assert read(path, reading=ReadOptions(resize="center"))[1] == [middle(text) for text in texts]


def test_other_letters_are_taken_as_n_and_counted_if_asked_for(fasta: Callable[[bytes], Path]) -> None:
    path = fasta(b">a\nACGTRYACGTAC\n>b\nuCGTACGTACGT\n")
    reader = Reader(path, LENGTH, reading=ReadOptions(ambiguous="n"))
    ((_, codes),) = reader
    assert np.array_equal(codes, encode(["ACGTNNACGTAC", "NCGTACGTACGT"]))
    assert reader.counts.ambiguous_letters == 3


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        (b"", ["FASTA", "empty"]),
        (b"\n \n", ["FASTA", "empty"]),
        (gzip.compress(b"", mtime=0), ["FASTA", "empty"]),
        (b"%PDF-1.7\n%\xe2\xe3", ["FASTA", "PDF"]),
        (b"@read\nACGT\n+\nIIII\n", ["FASTA", "FASTQ", "seqtk seq -A"]),
        (b"\x93NUMPY\1\0", ["FASTA", "text file"]),
        (b"ACGTACGTACGT\n>a\nACGTACGTACGT\n", ["FASTA", "'ACGTACGTACGT'", "header"]),
        (b">a\nACGTACGTACGT\n>b\n>c\nACGTACGTACGT\n", ["record 2 (b)", "sequence"]),
        (b">a\nACGTACGTACGT\n>b\n", ["record 2 (b)", "sequence"]),
        (b">a\nACGTACGTACGT\n>b x\nACGTA\n", ["record 2 (b)", 12, 5, "--crop-or-pad"]),
        (b">a\nACGTACGTACGT\n>b x\nACGTA\nCRTACGT\n>c\nA\n", ["record 2 (b), position 7", "'R'", "--ambiguous-as-n"]),
        (b">a\nACGUACGTACGT\n", ["record 1 (a), position 4", "'U'", "RNA", "seqkit seq --rna2dna"]),
        (b">a\nACGTAC GTACG\n", ["record 1 (a), position 7", "' '"]),
        (b">a\nACGTAC\xffGTACG\n", ["record 1 (a), position 7", "'\\\\xff'"]),
        (gzip.compress(WRITTEN, mtime=0)[:-9], ["cut off"]),
        (bz2.compress(WRITTEN)[:-9], ["cut off"]),
        (lzma.compress(WRITTEN)[:-9], ["cut off"]),
        (bgzip(WRITTEN)[: -len(text_input.BGZIP_END)], ["bgzip", "cut off"]),
    ],
)
def test_what_is_not_as_expected_is_refused_with_its_place(
    fasta: Callable[[bytes], Path], content: bytes, facts: list[object]
) -> None:
    check_refused(fasta(content), *facts)


def test_a_damaged_gzip_file_is_refused(fasta: Callable[[bytes], Path]) -> None:
    content = bytearray(gzip.compress(WRITTEN))
    content[-8] ^= 1  # the checksum
    check_refused(fasta(bytes(content)), "damaged")


def test_the_record_number_counts_over_blocks(fasta: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.formats.fasta.BLOCK_BYTES", 64)
    path = fasta(b">a\nACGTACGTACGT\n" * 77 + b">bad\nACGTACGTACGX\n" + b">a\nACGTACGTACGT\n" * 9)
    check_refused(path, "record 78 (bad), position 12:")


def test_read_options_change_no_more_than_they_say(fasta: Callable[[bytes], Path]) -> None:
    path = fasta(b">a\n\n>b\nACGT-CGTACGT\n")
    check_refused(path, "record 1 (a)", "sequence", reading=ReadOptions("center", "n"))
    path = fasta(b">b\nACGT-CGTACGT\n")
    check_refused(path, "position 5:", "'-'", reading=ReadOptions("center", "n"))
    with refuses("resize", "center", "'left'"):
        ReadOptions(resize="left")
    with refuses("ambiguous", "'x'"):
        ReadOptions(ambiguous="x")


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    check_refused(tmp_path, "folder")
    check_refused(tmp_path / "none.fa", "no such file")


def test_a_file_that_may_not_be_read_is_refused(
    fasta: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # not by its permissions: the tests may run as root, who reads everything
    def forbid(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(text_input, "open", forbid, raising=False)
    check_refused(fasta(WRITTEN), "Permission denied")


def test_several_files_follow_each_other_and_are_counted_each(tmp_path: Path) -> None:
    first, second = tmp_path / "a.fa", tmp_path / "b.fa"
    first.write_bytes(WRITTEN)
    second.write_bytes(b">fourth\nAC\n")
    reader = Reader([first, second], LENGTH, 2, ReadOptions("center"))
    assert [names for names, _ in reader] == [["first", "second"], ["third"], ["fourth"]]
    assert reader.files() == [{"file": str(first), "records": 3}, {"file": str(second), "records": 1}]
    assert (reader.counts.records, reader.counts.resized) == (4, 1)
    assert reader.bytes_read == len(WRITTEN) + len(b">fourth\nAC\n")
    with refuses("standard input", "-"):
        check_readable(["-", first, "-"])
    with refuses(tmp_path / "none.fa"):
        check_readable([first, tmp_path / "none.fa"])
