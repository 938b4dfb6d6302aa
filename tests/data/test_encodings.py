"""Encodings: what decides them, and the words that name each byte which is not in them."""

import pytest
from refused_tables import refused

from textgauge.data import encodings
from textgauge.data.encodings import decode
from textgauge.data.tables import read_table
from textgauge.errors import SettingsError, TableError

NOTES = "text,label\ngood steel,0\nbad iron,01\n"


def test_utf8_comes_back_as_the_same_object_and_without_a_remark():
    data = "text,label\nGerät,1\n".encode()
    decoded, problems = decode(data, "notes.csv", None)
    assert decoded is data
    assert problems == ()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-be"])
def test_a_byte_order_mark_decides_and_is_taken_off(encoding):
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    decoded, problems = decode(mark + "text;Gerät\n".encode(encoding), "notes.csv", None)
    assert decoded.decode() == "text;Gerät\n"
    expected = [] if encoding == "utf-8-sig" else [("note", "encoding")]
    assert [(p.severity, p.code) for p in problems] == expected


def test_a_given_encoding_is_used_even_where_every_byte_is_ascii():
    decoded, _ = decode("text,label\n".encode("utf-16-le"), "notes.csv", "utf-16-le")
    assert decoded == b"text,label\n"


def test_pieces_do_not_cut_characters(monkeypatch):
    monkeypatch.setattr(encodings, "PIECE", 3)
    text = "Gerät für Öl\n" * 3
    assert decode(text.encode(), "notes.csv", None)[0].decode() == text
    assert decode(text.encode("utf-16"), "notes.csv", None)[0].decode() == text


def test_excel_export_without_utf8_names_line_byte_and_the_encoding_that_reads_it():
    data = "text;label\r\nok;0\r\nGerät für Öl;1\r\n".encode("cp1252")
    with pytest.raises(TableError) as error:
        decode(data, "notes.csv", None)
    assert str(error.value) == (
        r"notes.csv is not valid UTF-8: line 3 has the byte 0xE4 in 'Ger\xe4t f\xfcr \xd6l;1'. "
        "In cp1252, that reads 'Gerät für Öl;1': if that looks right, pass --encoding cp1252, "
        "or save the file as UTF-8."
    )


def test_a_dos_file_is_offered_its_own_encoding():
    with pytest.raises(TableError, match=r"In cp850, that reads 'für Öl,1'.*--encoding cp850"):
        decode("text,label\nfür Öl,1\n".encode("cp850"), "notes.csv", None)


def test_only_the_first_five_faulty_lines_are_named():
    lines = ["text", *(f"für {number}" for number in range(2, 11))]
    with pytest.raises(TableError) as error:
        decode("\n".join(lines).encode("cp1252"), "notes.csv", None)
    message = str(error.value)
    assert "line 6 has the byte 0xFC in 'f\\xfcr 6'; and 4 more. " in message
    assert "In cp1252, the first of them reads 'für 2'" in message


def test_mixed_encodings_are_called_so_and_no_spoiling_encoding_is_advised():
    data = "text,label\nGerät,1\nÖl,0\n".encode() + "für,1\n".encode("cp1252")
    with pytest.raises(TableError) as error:
        decode(data, "notes.csv", None)
    assert str(error.value) == (
        r"notes.csv is not valid UTF-8: line 4 has the byte 0xFC in 'f\xfcr,1'. "
        "2 other lines with characters beyond ASCII can be read, so the file mixes encodings. "
        "In cp1252, that reads 'für,1'. Mend the faulty lines; --encoding cp1252 would read the "
        "whole file, but spoil the others."
    )


def test_text_that_is_not_western_gets_no_western_guess():
    with pytest.raises(TableError) as error:
        decode("text,label\nливни и дым,1\n".encode("cp1251"), "notes.csv", None)
    assert "cp1252" not in str(error.value)
    assert "pass its encoding, such as --encoding cp1251." in str(error.value)


def test_a_wrong_encoding_option_says_that_the_file_is_utf8():
    with pytest.raises(TableError) as error:
        decode("text\nä\n".encode(), "notes.csv", "ascii")
    assert str(error.value) == (
        r"notes.csv cannot be read as ascii: line 2 has the byte 0xC3 in '\xc3\xa4'. "
        "The file is valid UTF-8: leave --encoding out."
    )


def test_a_wrong_encoding_option_for_a_file_that_is_no_utf8_either():
    with pytest.raises(TableError) as error:
        decode(b"text\nf\x81r\n", "notes.csv", "cp1252")
    assert str(error.value) == (
        r"notes.csv cannot be read as cp1252: line 2 has the byte 0x81 in 'f\x81r'. "
        "Pass the encoding that the file was saved in, or save it again as UTF-8."
    )


def test_an_encoding_that_reads_valid_utf8_as_something_else_is_a_warning():
    _, problems = decode("text\nä\n".encode(), "notes.csv", "cp1252")
    assert [(p.severity, p.message) for p in problems] == [
        ("warning", "the file is valid UTF-8 but was read as cp1252, as asked")
    ]
    assert decode(b"text\na\n", "notes.csv", "cp1252")[1] == ()


def test_a_cut_utf16_file_is_an_error():
    data = "text\nab\n".encode("utf-16")[:-1]
    with pytest.raises(TableError, match=r"notes.csv cannot be read as utf-16: it is damaged, cut"):
        decode(data, "notes.csv", None)


def test_unknown_encodings_get_a_hint():
    with pytest.raises(SettingsError) as error:
        decode(b"text\n", "notes.csv", "utf-9")
    assert str(error.value).startswith("--encoding 'utf-9' is no encoding of text. Did you mean")
    with pytest.raises(SettingsError, match=r"^--encoding 'base64' is no encoding of text\.$"):
        decode(b"text\n", "notes.csv", "base64")


def test_line_ends_of_the_old_macintosh():
    assert decode(b"text,label\ra,1\r", "notes.csv", None)[0] == b"text,label\na,1\n"
    assert decode(b"text,label\r\na\rb,1\r\n", "notes.csv", None)[0].count(b"\r") == 3


# ---- what is text in no encoding


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark(write, encoding):
    path = write(NOTES.encode(encoding))
    assert refused(path) == (
        f"notes.csv looks like UTF-16 without a mark at its beginning. Pass --encoding {encoding}, "
        "or save the file as UTF-8."
    )
    assert read_table(path, encoding=encoding).frame.height == 2


def test_a_few_nul_bytes_are_left_to_the_checks(write):
    assert read_table(write("text,label\na\0b,1\n")).frame["text"][0] == "a\0b"
