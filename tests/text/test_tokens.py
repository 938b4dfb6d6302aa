"""Normal form and tokens: worked examples, and properties over generated strings."""

import random
import re
import unicodedata

import polars as pl
import pytest

from textgauge.text.tokens import is_number, normalise, number_value, tokenize

# Unicode's White_Space property, without the line feed and its like being special.
SPACES = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2003\u200a\u2028\u2029\u202f\u205f\u3000"

ALPHABETS = (
    "abc XYZ 019 ,.'-/<>_",
    SPACES,
    "äöüßÄÖÜÅéÉñçŒ",
    "ΑΒΣασςω",
    "ЖжЯяЁё",
    "\u0130\u0131IiŞş",
    "\u0301\u0307\u0308\u0323\u0327\u0345",  # combining marks
    "\ufb01\ufb03\u01c4\u2160\u00bd\u00b2\u2122\u212a\u212b\u1e9e\u017f",  # ligatures, signs
    "\uff11\uff19\uff21\uff5a\uff0c\uff0e\u3000",  # full-width 1 9 A z , .
    "\u1100\u1161\u11a8\uac00\u304b\u3099",  # Hangul and kana that compose
    "中文٣४\u200b\u200d🙂🔧\u2018\u2019",
)


def normal_forms(*texts):
    return normalise(pl.Series(texts, dtype=pl.String)).to_list()


def tokens_of(*texts):
    return tokenize(normalise(pl.Series(texts, dtype=pl.String))).to_list()


def generated_strings(count=4000, seed=7):
    """Strings over one to three of the alphabets, up to 14 characters long."""
    chance = random.Random(seed)
    for _ in range(count):
        letters = "".join(chance.sample(ALPHABETS, chance.randint(1, 3)))
        yield "".join(chance.choices(letters, k=chance.randint(0, 14)))


# ---- the normal form


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ("Steel COMPONENT", "steel component"),
        ("  two\t\tspaces \n", "two spaces"),
        ("no\u00a0break\u2003em\u3000wide", "no break em wide"),
        ("line\u2028and\u0085next", "line and next"),
        ("\ufb01ne o\ufb03ce", "fine office"),
        ("\uff11\uff19\uff19\uff14", "1994"),
        ("\uff33teel\uff0c", "steel,"),
        ("m\u00b2 \u2122", "m2 tm"),
        ("\u00bd", "1\u20442"),
        ("e\u0301", "\u00e9"),
        ("STRASSE Straße", "strasse straße"),
        ("", ""),
        (" \u3000\t", ""),
        ("zero\u200bwidth", "zero\u200bwidth"),  # no white space in Unicode's sense
        ("nul\x00byte", "nul\x00byte"),
    ],
)
def test_worked_normal_forms(raw, normal):
    assert normal_forms(raw) == [normal]


def test_dotted_capital_i_is_composed_again_after_lower_casing():
    assert normal_forms("İ") == ["i\u0307"]
    # Lower-cased, its dot stands before the cedilla; composed again, behind it.
    assert normal_forms("\u0130\u0327") == normal_forms("i\u0307\u0327") == ["i\u0327\u0307"]


def test_nulls_stay_null_and_lines_up():
    assert normal_forms(None, " A", None, "Ä", None) == [None, "a", None, "ä", None]
    assert normal_forms(None, None) == [None, None]
    assert normalise(pl.Series([None, None])).to_list() == [None, None]
    assert normal_forms() == []


def test_the_name_of_the_column_is_kept():
    assert normalise(pl.Series("note", ["A"])).name == "note"


def test_the_normal_form_is_its_own_normal_form():
    texts = list(generated_strings())
    once = normal_forms(*texts)
    assert normal_forms(*once) == once


def test_every_character_alone_and_inside_words_has_a_stable_normal_form():
    characters = [chr(c) for c in range(0x3000) if not 0xD800 <= c < 0xE000]
    for frame in ("{}", "a{}b", " {}\u0323\u0307"):
        once = normal_forms(*(frame.format(c) for c in characters))
        assert normal_forms(*once) == once


def test_the_normal_form_equals_an_independent_one():
    def by_hand(text):
        text = unicodedata.normalize("NFKC", text).lower()
        text = unicodedata.normalize("NFKC", text)
        return re.sub(f"[{SPACES}]+", " ", text).strip(" ")

    texts = [t for t in generated_strings() if "Σ" not in t]  # Σ: final forms, tested below
    assert normal_forms(*texts) == [by_hand(t) for t in texts]


def test_a_capital_sigma_at_the_end_of_a_word_is_read_as_the_final_form():
    assert normal_forms("ΟΔΟΣ ΣΑΣ") == ["οδος σας"]


def test_a_text_is_read_alike_alone_and_among_others():
    texts = list(generated_strings(300))
    assert normal_forms(*texts) == [normal_forms(text)[0] for text in texts]


def test_variants_in_case_width_composition_and_spacing_are_one_text():
    def variants(text):
        yield text
        yield text.upper()
        yield text.title()
        yield unicodedata.normalize("NFD", text)
        yield "\u3000" + text.replace(" ", " \u00a0\t") + "\n"
        yield "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)

    for text in ("fan belt é 1,250.5", "жёлтый кабель №", "m8 bolt, don't (see §4)"):
        assert len(set(normal_forms(*variants(text)))) == 1
        read = tokens_of(*variants(text))
        assert read == [read[0]] * len(read)


# ---- tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("m8 bolt, 1,250.5 n.m", ["m", "8", "bolt", ",", "1,250.5", "n", ".", "m"]),
        ("1,234,567 1,250kg", ["1,234,567", "1,250", "kg"]),
        ("12,34 1234,567", ["12", ",", "34", "1234", ",", "567"]),
        ("1994,1995", ["1994", ",", "1995"]),
        ("3.14 .5 5.", ["3.14", ".", "5", "5", "."]),
        ("1.5.2", ["1.5", ".", "2"]),
        ("-40 +5", ["-", "40", "+", "5"]),
        ("1e5", ["1", "e", "5"]),
        ("don't o\u2019clock rock'n'roll", ["don't", "o\u2019clock", "rock'n'roll"]),
        ("'quoted' dogs' 'tis", ["'", "quoted", "'", "dogs", "'", "'", "tis"]),
        ("it''s", ["it", "'", "'", "s"]),
        ("snake_case a/b", ["snake", "_", "case", "a", "/", "b"]),
        ("<unk> <pad>", ["<", "unk", ">", "<", "pad", ">"]),
        ("İstanbul", ["i\u0307stanbul"]),
        ("\ufb01xing o\ufb00", ["fixing", "off"]),
        ("\uff11\uff0c\uff12\uff15\uff10\uff0e\uff15", ["1,250.5"]),
        ("½", ["1", "\u2044", "2"]),
        ("жёлтый 中文", ["жёлтый", "中文"]),
        ("٣", ["٣"]),  # other scripts' digits have no value here, but are not lost
        ("🙂🔧 ok!!", ["🙂", "🔧", "ok", "!", "!"]),
        ("", []),
        (" \t", []),
    ],
)
def test_worked_tokens(text, tokens):
    assert tokens_of(text) == [tokens]


def test_a_null_gives_null_and_lines_up():
    assert tokens_of(None, "a b", None) == [None, ["a", "b"], None]


def test_no_character_but_spaces_is_lost():
    texts = normal_forms(*generated_strings())
    joined = ["".join(tokens) for tokens in tokens_of(*texts)]
    assert joined == [text.replace(" ", "") for text in texts]


def test_tokens_equal_an_independent_scanner():
    def letter(c):
        return unicodedata.category(c)[0] in "LM"

    def scan(text):
        found, i = [], 0
        while i < len(text):
            c, end = text[i], i + 1
            if "0" <= c <= "9":
                end = re.compile(r"[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?|[0-9]+(\.[0-9]+)?").match(
                    text, i
                )
                end = end.end()
            elif letter(c):
                while end < len(text) and (
                    letter(text[end])
                    or (text[end] in "'\u2019" and end + 1 < len(text) and letter(text[end + 1]))
                ):
                    end += 1
            if c != " ":
                found.append(text[i:end])
            i = end
        return found

    texts = normal_forms(*generated_strings())
    assert tokens_of(*texts) == [scan(text) for text in texts]


def test_only_the_first_tokens_are_kept():
    texts = pl.Series(["a b c d", "a", None, ""])
    assert tokenize(texts, 3).to_list() == [["a", "b", "c"], ["a"], None, []]


# ---- numbers among the tokens


def test_numbers_are_told_from_words_and_signs():
    tokens = pl.Series(["1994", "1,250.5", "steel", "-", ".", "٣", None])
    assert is_number(tokens).to_list() == [True, True, False, False, False, False, None]


def test_worked_number_values():
    tokens = pl.Series(["1,250.5", "1994", "1,234,567", "007", "3.14", "bolt", ",", None])
    values = [1250.5, 1994.0, 1234567.0, 7.0, 3.14, None, None, None]
    assert number_value(tokens).to_list() == values


def test_every_number_token_has_a_value():
    flat = tokenize(normalise(pl.Series(list(generated_strings())))).explode().drop_nulls()
    numbers = flat.filter(is_number(flat))
    assert len(numbers) > 500
    assert number_value(numbers).to_list() == [float(n.replace(",", "")) for n in numbers]
