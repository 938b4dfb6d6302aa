"""Pieces of words."""

from textgauge.text.grams import LENGTH, grams_of, shared_pieces


def by_hand(words):
    found = []
    for at, word in enumerate(words):
        marked = f"<{word}>"
        found += [(at, marked[i : i + LENGTH]) for i in range(len(marked) - LENGTH + 1)]
    return found


def test_they_are_those_cut_by_hand():
    words = ["connector", "", "on", "o", "naïveté", "ржавый", "😀😀😀", "banana"]
    assert sorted(grams_of(words).rows()) == sorted(by_hand(words))


def test_a_piece_that_stands_there_twice_is_there_twice():
    assert grams_of(["ananan"])["gram"].to_list().count("nana") == 1
    assert grams_of(["anananan"])["gram"].to_list().count("nana") == 2


def test_without_words_there_are_none():
    assert grams_of([]).rows() == []
    assert grams_of(["", "", ""]).rows() == []


def test_shared_pieces_are_those_of_two_words_with_the_marks_that_are_given():
    word, piece = shared_pieces(["<leak", "<leaking", "leak", "king", "king"[:3], "<leakleak"])
    found = {}
    for at, number in zip(word.tolist(), piece.tolist(), strict=True):
        found.setdefault(at, []).append(number)
    # In alphabetical order: <lea, king, leak.
    assert found == {0: [0, 2], 1: [0, 2, 1], 2: [2], 3: [1], 5: [0, 2, 2]}
