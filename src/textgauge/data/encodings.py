"""Bytes into UTF-8 text: the encoding of a file, found or given, and each byte not in it."""

from __future__ import annotations

import codecs
import re
from encodings.aliases import aliases

from ..errors import SettingsError, TableError, did_you_mean
from .problems import Problem, counted, some

PIECE = 1 << 23  # bytes looked at in one go: bounds the memory that validation needs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ESCAPED = re.compile("[\udc80-\udcff]")  # what errors="surrogateescape" makes of a bad byte
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")  # of UTF-16 and UTF-32
_CONTROL = bytes({*range(9), *range(14, 32)} - {0x1A, 0x1B})  # but for DOS's end and escapes


def decode(data: bytes, name: str, encoding: str | None) -> tuple[bytes, tuple[Problem, ...]]:
    r"""Return the text of a file as UTF-8 without a mark, and what was noticed.

    Without `encoding`, a byte order mark decides (UTF-8, UTF-16, UTF-32), and UTF-8 otherwise.
    Lines end in `\n` or `\r\n` afterwards. Raises TableError that names lines and bytes where the
    file is not in that encoding, and SettingsError for an encoding that Python does not know.
    """
    marked = _marked(data)
    codec = codec_of(data, encoding)
    try:
        utf8 = _as_utf8(data, codec)
    except UnicodeDecodeError as error:
        raise _undecodable(data, name, codec, encoding) from error
    problems = []
    if encoding is None and marked not in (None, "utf-8-sig"):
        kind = str(marked).upper()
        message = f"the file is in {kind}, as the mark at its beginning says, and was read so"
        problems.append(Problem("note", "encoding", message, advice="Nothing to do."))
    elif encoding is not None and codec != "utf-8-sig" and _is_utf8(data):
        message = f"the file is valid UTF-8 but was read as {encoding}, as asked"
        advice = "Leave --encoding out, unless words with accents look right."
        problems.append(Problem("warning", "encoding", message, advice=advice))
    if b"\r" in utf8 and b"\n" not in utf8:  # line ends of the old Macintosh
        utf8 = utf8.replace(b"\r", b"\n")
    return utf8, tuple(problems)


def codec_of(head: bytes, encoding: str | None) -> str:
    """Name the codec of a file that begins with `head`; "utf-8-sig" for all of UTF-8.

    It is the one given, or that of the byte order mark, or UTF-8. Raises SettingsError for an
    encoding that Python does not know.
    """
    codec = encoding or _marked(head) or "utf-8"
    try:
        "".encode(codec)  # a LookupError too for codecs that are no encodings of text: base64
        codecs.getincrementaldecoder(codec)
        return "utf-8-sig" if codecs.lookup(codec).name in ("utf-8", "utf-8-sig") else codec
    except LookupError:
        known = {*aliases, *aliases.values()}
        hint = "" if codec in known else did_you_mean(codec, known)
        raise SettingsError(f"--encoding {codec!r} is no encoding of text.{hint}") from None


def _marked(head: bytes) -> str | None:
    return next((codec for mark, codec in _MARKS if head.startswith(mark)), None)


def _as_utf8(data: bytes, codec: str) -> bytes:
    """Decode strictly and encode as UTF-8; what is UTF-8 already is only looked through."""
    if codec == "utf-8-sig" and data.isascii():
        return data
    decoder = codecs.getincrementaldecoder(codec)("strict")
    kept = []
    for start in range(0, len(data), PIECE):
        piece = decoder.decode(data[start : start + PIECE])
        if codec != "utf-8-sig":
            kept.append(piece.encode())
    kept.append(decoder.decode(b"", True).encode())
    return (data if codec == "utf-8-sig" else b"".join(kept)).removeprefix(codecs.BOM_UTF8)


def _is_utf8(data: bytes) -> bool:
    """Tell whether there is more than ASCII and all of it is valid UTF-8."""
    try:
        _as_utf8(data, "utf-8-sig")
    except UnicodeDecodeError:
        return False
    return not data.isascii()


def _undecodable(data: bytes, name: str, codec: str, asked: str | None) -> TableError:
    """Say which bytes are not text in `codec`, where they stand, and what to do."""
    if asked is None:
        advice = "Save the file as UTF-8, or pass its encoding, such as --encoding cp1251."
    elif _is_utf8(data):
        advice = "The file is valid UTF-8: leave --encoding out."
    else:
        advice = "Pass the encoding that the file was saved in, or save it again as UTF-8."
    fault = "is not valid UTF-8" if codec == "utf-8-sig" else f"cannot be read as {codec}"
    try:
        lines = data.decode(codec, "surrogateescape").split("\n")
    except UnicodeDecodeError:  # UTF-16 and UTF-32 know no escape
        return TableError(f"{name} {fault}: it is damaged, cut off, or in another one. {advice}")
    faulty = [(number, line) for number, line in enumerate(lines, 1) if _ESCAPED.search(line)]
    found = some(
        f"line {number:,} has the byte 0x{ord(_escaped(line)) - 0xDC00:02X} in '{_context(line)}'"
        for number, line in faulty
    )
    first = faulty[0][1]
    guess = _guess(data, first) if asked is None else None
    if guess is not None:
        sound = sum(1 for line in lines if not line.isascii()) - len(faulty)
        which = "that" if len(faulty) == 1 else "the first of them"
        meant = f"In {guess}, {which} reads '{_context(first, guess)}'"
        advice = (
            f"{meant}: if that looks right, pass --encoding {guess}, or save the file as UTF-8."
        )
        if sound:
            advice = (
                f"{counted(sound, 'other line')} with characters beyond ASCII can be read, so the "
                f"file mixes encodings. {meant}. Mend the faulty lines; --encoding {guess} would "
                f"read the whole file, but spoil the others."
            )
    return TableError(f"{name} {fault}: {found}. {advice}")


def _escaped(line: str) -> str:
    found = _ESCAPED.search(line)
    return found[0] if found else ""


def _context(line: str, codec: str | None = None) -> str:
    r"""Return the characters around the first bad byte, written as `\xfc` or read in `codec`."""
    at = line.index(_escaped(line))
    near = line[max(0, at - 20) : at + 20].strip()
    if codec is not None:
        return near.encode("utf-8", "surrogateescape").decode(codec, "replace")
    return _ESCAPED.sub(lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", near)


def _guess(data: bytes, line: str) -> str | None:
    """Find a Western encoding that reads the whole file; None where the text is not Western."""
    letters = sum(character.isascii() and character.isalpha() for character in line)
    if len(_ESCAPED.findall(line)) > letters:
        return None
    for codec in ("cp1252", "cp850"):  # Windows; DOS, and the consoles that follow it
        try:
            data.decode(codec)
        except UnicodeDecodeError:
            continue
        return codec
    return None


def refuse_binary(data: bytes, name: str) -> None:
    """Raise TableError for what is text in no encoding, and for UTF-16 that bears no mark."""
    if data.startswith(_WIDE_MARKS):
        return
    sample = data[: 1 << 16]
    control = (len(sample) - len(sample.translate(None, _CONTROL))) / len(sample)
    if control <= (0.1 if _begins_as_utf8(sample) else 0.02):
        return
    zeros = sample[0::2].count(0), sample[1::2].count(0)
    if max(zeros) > 0.3 * len(sample) and min(zeros) < 0.05 * len(sample):
        likely = "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
        raise TableError(
            f"{name} looks like UTF-16 without a mark at its beginning. Pass --encoding {likely}, "
            "or save the file as UTF-8."
        )
    raise TableError(
        f"{name} is a binary file, not a table. Export the table as CSV, JSON lines or Parquet."
    )


def _begins_as_utf8(sample: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)  # a cut character at the end is fine
    except UnicodeDecodeError:
        return False
    return True
