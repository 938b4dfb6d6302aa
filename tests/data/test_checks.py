"""Every check: what it finds, with which rows and words, and what it leaves alone."""

import json
from datetime import date

import polars as pl
import pytest

from textgauge.data.checks import CheckReport, check_table
from textgauge.data.label_checks import lacking_labels
from textgauge.data.problems import Problem
from textgauge.data.profile import Profile, Quantiles
from textgauge.data.tables import Columns, Table, read_table

TEXTS = [f"{kind} part number {n}" for n in range(6) for kind in ("good", "bad")]
LABELS = ["0", "1"] * 6


def table_of(texts, labels=None, **columns):
    data = {"text": texts} | ({"label": labels} if labels else {})
    wanted = {role: role for role in columns}
    label = "label" if labels else None
    return read_table(pl.DataFrame(data | columns, strict=False), Columns(label=label, **wanted))


def check(texts, labels=None, *, columns=None, **options):
    table = table_of(texts, labels, **(columns or {}))
    normalised = table.frame["text"].str.to_lowercase()
    return check_table(table, normalised=normalised, **options)


def problem(report, code):
    """The one problem of that code."""
    (found,) = [p for p in report.problems if p.code == code]
    return found


def codes(report):
    return [p.code for p in report.problems]


# ---- a sound table, the report


def test_a_sound_table_has_no_problems():
    report = check(TEXTS, LABELS)
    assert report.problems == ()
    assert report.ok


def test_texts_are_normalised_here_where_no_one_did():
    table = table_of(["Good  Steel", "good steel"] * 2, ["a", "b"] * 2)
    assert check_table(table).profile.distinct_texts == 1


def test_the_given_normal_forms_decide_what_is_equal():
    table = table_of(TEXTS, LABELS)
    same = pl.Series(["x"] * 12)
    assert check_table(table, normalised=same).profile.distinct_texts == 1


def test_the_report_as_json():
    report = check([*TEXTS, None], [*LABELS, "1"])
    plain = report.to_json()
    assert json.loads(json.dumps(plain)) == plain
    assert (plain["table"], plain["ok"]) == ("DataFrame", True)
    assert plain["problems"][0]["rows"] == [13]
    assert plain["problems"][0]["code"] == "missing-text"
    assert plain["profile"]["labels"][0]["label"] == "1"
    assert plain["profile"]["text_words"]["median"] == 4


def test_problems_found_while_reading_are_among_them_and_the_gravest_come_first():
    base = table_of([*TEXTS, "x\0y", "good part number 0"], [*LABELS, "1", "0"])
    note = Problem("note", "delimiter", "the columns are separated by tab")
    report = check_table(
        Table(base.frame, "notes.csv", base.columns, (note,)), normalised=base.frame["text"]
    )
    assert codes(report) == ["nul-bytes", "delimiter", "duplicate-texts"]
    assert report.table == "notes.csv"
    assert [p.code for p in report.errors] == ["nul-bytes"]
    assert not report.ok


def test_errors_and_warnings_are_told_apart():
    problems = tuple(Problem(s, s, "x") for s in ("error", "warning", "note"))
    profile = Profile(
        0, 0, 0, 0, 0, 0, 0, 0, (), Quantiles(0, 0, 0, 0), Quantiles(0, 0, 0, 0), None
    )
    report = CheckReport("x", problems, profile)
    assert [p.code for p in report.errors] == ["error"]
    assert [p.code for p in report.warnings] == ["warning"]
    assert CheckReport("x", problems[1:], profile).ok


# ---- missing values


def test_missing_texts_and_labels():
    report = check([*TEXTS, None, " ", "x y z"], [*LABELS, "1", "0", None])
    text, label = problem(report, "missing-text"), problem(report, "missing-label")
    assert (text.severity, text.message) == ("warning", "the text is missing or empty")
    assert (text.rows, text.count) == ((13, 14), 2)
    assert text.advice == "Fill these rows in or delete them; training leaves them out."
    assert (label.severity, label.rows, label.count) == ("warning", (15,), 1)


def test_only_the_first_five_rows_are_named():
    found = problem(check([*TEXTS, *[None] * 9], [*LABELS, *"111111111"]), "missing-text")
    assert found.rows == (13, 14, 15, 16, 17)
    assert found.count == 9


def test_a_column_of_nothing():
    report = check(TEXTS, [None] * 12)
    found = problem(report, "missing-label")
    assert found.severity == "error"
    assert found.message == "column 'label' is empty: there are no labels at all"
    assert found.advice == "Pass --label with the name of the column that holds the labels."
    assert problem(check([None] * 12, LABELS), "missing-text").severity == "error"


def test_words_that_stand_for_a_missing_value():
    report = check([*TEXTS, "NaN", "nan grade"], [*LABELS, "N/A", "1"])
    text = problem(report, "stand-in-text")
    assert text.message == "the text is 'NaN' or the like, which often stands for a missing value"
    assert (text.severity, text.rows) == ("warning", (13,))
    assert problem(report, "stand-in-label").rows == (13,)


@pytest.mark.parametrize("role", ["split", "time"])
def test_rows_without_a_part(role):
    found = problem(check(TEXTS, LABELS, columns={role: ["1"] * 11 + [None]}), f"missing-{role}")
    assert found.severity == "error"
    assert found.message == f"column {role!r} is empty, so the row belongs to no part of the split"
    assert (found.rows, found.count) == ((12,), 1)


def test_rows_without_a_group():
    report = check(TEXTS, LABELS, columns={"group": ["1"] * 11 + [None]})
    assert problem(report, "missing-group").severity == "warning"
    assert "missing-group" not in codes(check(TEXTS, LABELS, columns={"group": ["1"] * 12}))


# ---- the split column


NAMED = ["train"] * 8 + ["val"] * 2 + ["test"] * 2


def check_split(names, texts=TEXTS, labels=LABELS, **options):
    return check(texts, labels, columns={"split": names}, **options)


def test_a_sound_split_column_has_no_problems():
    assert codes(check_split(NAMED)) == []
    assert codes(check_split([" Training", *NAMED[1:9], "DEV", "eval", "holdout"])) == []


def test_names_that_mean_no_part_are_told_with_their_rows():
    found = problem(check_split([*NAMED[:5], "Vall", "x", *["Vall"] * 5]), "unknown-part")
    assert found.severity == "error"
    assert found.message == "column 'split' holds 'Vall', 'x', which mean no part of the split"
    assert (found.rows, found.count) == ((6, 7, 8, 9, 10), 7)
    assert found.advice == (
        "Say 'train', 'val' or 'test' in every row. For 'Vall' did you mean 'val'?"
    )


def test_of_very_many_names_the_first_few_are_told():
    found = problem(check_split([f"id {n:02}" for n in range(12)]), "unknown-part")
    assert found.message.startswith("column 'split' holds 'id 00', 'id 01', 'id 02', ")
    many = [f"id {n:03}" for n in range(200)]
    report = check_split(many, [f"some text {n}" for n in range(200)], ["0", "1"] * 100)
    assert problem(report, "unknown-part").message.endswith(
        "'id 011' and 188 more, which mean no part of the split"
    )


def test_names_that_mean_no_part_stand_beside_the_other_problems():
    report = check_split([*NAMED, None, "x"], [*TEXTS, "one more", "a\0b"], [*LABELS, "0", "1"])
    assert codes(report) == ["missing-split", "nul-bytes", "unknown-part"]


def test_rows_that_training_leaves_out_may_name_any_part():
    texts, labels = [*TEXTS, None, "no label"], [*LABELS, "0", None]
    report = check_split([*NAMED, "spare", "spare"], texts, labels)
    assert codes(report) == ["missing-text", "missing-label"]


def test_where_no_row_can_be_used_the_split_column_is_not_blamed():
    assert codes(check_split(NAMED, labels=[None] * 12)) == ["missing-label"]


def test_a_split_column_is_checked_without_labels_too():
    found = problem(check(TEXTS, columns={"split": [*NAMED[:11], "x"]}), "unknown-part")
    assert found.rows == (12,)


def test_a_split_column_without_a_training_part_is_an_error():
    found = problem(check_split(["val"] * 6 + ["test"] * 6), "no-train")
    assert (found.severity, found.rows, found.count) == ("error", (), 0)
    assert found.message == "column 'split' has no row that says 'train'"
    assert found.advice == "Say 'train' in the rows to learn from."


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["train"] * 9 + ["test"] * 3, "'val'; training takes this part from the"),
        (["train"] * 9 + ["val"] * 3, "'test'; training takes this part from the"),
        (["train"] * 12, "'val' or 'test'; training takes these parts from the"),
    ],
)
def test_parts_that_are_cut_from_train_are_a_note(names, words):
    found = problem(check_split(names), "part-taken-from-train")
    assert found.severity == "note"
    assert found.message == f"column 'split' has no row that says {words} rows of 'train'"


def test_a_part_without_a_share_may_be_empty():
    names = ["train"] * 9 + ["test"] * 3
    assert codes(check_split(names, fractions=(0.8, 0.0, 0.2))) == []


@pytest.mark.parametrize("name", ["vall", None])
def test_no_part_is_called_empty_where_a_row_may_have_been_meant_for_it(name):
    found = codes(check_split([*["test"] * 11, name]))
    assert found == ["missing-split" if name is None else "unknown-part"]


# ---- parts of the split


def test_labels_that_a_part_of_the_split_column_lacks_are_told():
    names = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    labels = ["0", "1"] * 5 + ["0", "0"]
    report = check_split(names, labels=labels, seed=0)
    found = problem(report, "label-not-in-test")
    assert (found.severity, codes(report)) == ("warning", ["label-not-in-test"])
    assert found.message == (
        "no row of the test part has the label '1': how well such texts are found "
        "cannot be measured"
    )
    assert found.advice == "Put such rows into the test part, or split in another way."
    assert codes(check_split(names, labels=LABELS, seed=0)) == []
    labels = [*["0", "1"] * 4, "2", "3", "0", "1"]
    found = problem(check_split(names, labels=labels, seed=0), "label-not-in-train")
    assert found.message == (
        "no row of the train part has the labels '2', '3': what such texts are "
        "like cannot be learned"
    )


def test_of_many_lacking_labels_ten_are_named():
    labels = [f"l{n:02}" for n in range(12)]
    (found,) = lacking_labels(labels, {"test": set()})
    assert found.message.startswith("no row of the test part has the labels 'l00', 'l01'")
    assert "'l09' and 2 more: how" in found.message
    assert lacking_labels(labels, {"val": set(), "train": set(labels)}) == []


def test_a_test_part_that_is_cut_from_train_has_the_labels_that_it_can_have():
    texts = [f"text {n}" for n in range(21)]
    labels = ["0", "1"] * 10 + ["rare"]
    report = check(texts, labels, columns={"split": ["train"] * 21}, seed=0)
    assert problem(report, "label-not-in-test").message.startswith(
        "no row of the test part has the label 'rare':"
    )


@pytest.mark.parametrize("column", ["group", "time"])
def test_a_split_by_groups_or_time_is_tried(column):
    texts = [f"text {n}" for n in range(20)]
    labels = ["1"] * 4 + ["0"] * 16
    values = {
        "group": ["the only one"] * 4 + [f"g{n % 5}" for n in range(16)],
        "time": [date(2024, 1, 1 + n) for n in range(20)],
    }[column]
    report = check(texts, labels, columns={column: values}, seed=0)
    assert "label-not-in-test" in codes(report)
    assert "label-not-in-test" not in codes(check(texts, labels, columns={column: values}))


def test_a_split_that_leaves_a_part_empty_is_an_error():
    report = check(TEXTS, LABELS, columns={"group": ["a"] * 12}, seed=0)
    found = problem(report, "empty-part")
    assert (found.severity, report.ok) == ("error", False)
    assert found.message == "no text is left for val and test"
    assert found.advice.startswith("The table has 12 different texts; give it more")


def test_problems_that_are_found_later_stand_where_they_belong():
    report = check([*TEXTS, *TEXTS[:4]], [*LABELS, *LABELS[:4]])
    later = report.with_problems([Problem("warning", "later", "late"), Problem("error", "x", "y")])
    assert codes(later) == ["x", "later", "duplicate-texts"]
    assert codes(report) == ["duplicate-texts"]


# ---- characters


@pytest.mark.parametrize(
    ("text", "code", "severity"),
    [
        ("a\0b", "nul-bytes", "error"),
        ("a\x07b", "control-characters", "warning"),
        ("a\x7fb", "control-characters", "warning"),
        ("a\ufffdb", "lost-characters", "warning"),
        ("GerÃ¤t", "mojibake", "warning"),
        ("donâ€™t", "mojibake", "warning"),
        ("20Â°C", "mojibake", "warning"),
    ],
)
def test_damaged_characters_are_found_in_texts_and_labels(text, code, severity):
    found = problem(check([*TEXTS, text, text], [*LABELS, "0", "1"]), code)
    assert (found.severity, found.rows, found.count) == (severity, (13, 14), 2)
    assert problem(check([*TEXTS, "good part"], [*LABELS, text]), code).rows == (13,)


@pytest.mark.parametrize(
    "text", ["tab\tnew\nline\r", "Gerät", "AÇÃO", "âge", "naïve \u2013 “ok” €5", "±5 °C"]
)
def test_sound_characters_are_left_alone(text):
    assert codes(check([*TEXTS, text], [*LABELS, "0"])) == []


def test_mojibake_shows_what_was_meant():
    texts = [*TEXTS, "ein GerÃ¤t", "dâ€™Ã\u00a0"]
    found = problem(check(texts, [*LABELS, "0", "1"]), "mojibake")
    assert found.message == (
        "the cell looks like UTF-8 that was read as cp1252: 'GerÃ¤t' for 'Gerät'"
    )


def test_a_megabyte_in_one_cell():
    found = problem(check([*TEXTS, "word " * 200_000], [*LABELS, "1"]), "long-text")
    assert (found.severity, found.rows) == ("warning", (13,))
    assert found.message == "the text has more than 100,000 characters; the longest has 1,000,000"
    assert codes(check([*TEXTS, "x" * 100_000], [*LABELS, "1"])) == []


# ---- the text column


@pytest.mark.parametrize(
    ("texts", "code", "words"),
    [
        ([str(n / 7) for n in range(30)], "text-is-number", "holds numbers, not texts"),
        (
            [f"A-{n}" for n in range(30)],
            "text-is-id",
            "looks like ids: one word a row, with digits",
        ),
        (
            ["ok", "bad"] * 15,
            "text-is-label",
            "looks like labels: one word a row, 2 different ones",
        ),
    ],
)
def test_a_text_column_that_holds_no_texts(texts, code, words):
    found = problem(check(texts, ["0", "1", "1"] * 10), code)
    assert found.severity == "warning"
    assert f"column 'text' {words}" in found.message
    assert found.advice == "Pass --text with the name of the column that holds the texts."


def test_single_words_may_be_texts():
    words = [f"{a}{b}" for a in "abcdef" for b in "uvwxyz"]
    assert codes(check(words, ["0", "1", "1"] * 12)) == []


# ---- labels


def test_one_label_only():
    found = problem(check(TEXTS, ["1"] * 12), "one-label")
    assert found.severity == "error"
    assert found.message == "every label in column 'label' is '1': nothing to learn"


def test_labels_with_too_few_texts_are_a_warning_that_names_them():
    texts = [*TEXTS, "rare one", "rare two", "RARE TWO"]
    found = problem(check(texts, [*LABELS, "9", "9", "9"]), "few-texts")
    assert found.severity == "warning"
    assert found.message == (
        "labels with fewer than 3 distinct texts, one for each part of the split: '9' (2)"
    )
    assert found.count == 3
    assert codes(check([*TEXTS, "rare 1", "rare 2", "rare 3"], [*LABELS, "9", "9", "9"])) == []


@pytest.mark.parametrize(
    ("labels", "words"), [("aaab", "only one label has enough"), ("aabb", "no label has enough")]
)
def test_fewer_than_two_usable_labels_are_an_error(labels, words):
    found = problem(check(["p q", "r s", "t u", "v w"], list(labels)), "few-texts")
    assert found.severity == "error"
    assert found.message.endswith(words)


def test_how_many_texts_a_label_needs_depends_on_the_split():
    texts, labels = [*TEXTS, "rare one", "rare two"], [*LABELS, "9", "9"]
    assert "few-texts" in codes(check(texts, labels))
    assert "few-texts" not in codes(check(texts, labels, fractions=(0.8, 0.2, 0.0)))
    by_column = check(texts, labels, columns={"split": ["train"] * 14})
    assert "few-texts" not in codes(by_column)


def test_only_ten_rare_labels_are_named():
    texts = [*TEXTS, *(f"rare {chr(97 + n)}" for n in range(12))]
    found = problem(check(texts, [*LABELS, *map(chr, range(97, 109))]), "few-texts")
    assert found.message.endswith("'j' (1) and 2 more")


def test_contradictory_duplicates_have_rows_and_an_example():
    texts = [*TEXTS, "Odd part", "odd part", "ODD part", "odd part"]
    report = check(texts, [*LABELS, "1", "0", "0", None])
    found = problem(report, "contradictory-texts")
    assert found.severity == "warning"
    assert found.message == (
        "1 text stands under more than one label, for example 'Odd part': '1' in 1 row, '0' in 2 "
        "rows"
    )
    assert (found.rows, found.count) == ((13, 14, 15), 3)


def test_many_contradictions_are_counted_and_long_examples_cut():
    texts = [*TEXTS, *["x " * 50] * 2, *["y z"] * 2]
    found = problem(check(texts, [*LABELS, "0", "1", "0", "1"]), "contradictory-texts")
    assert found.message.startswith(
        f"2 texts stand under more than one label, for example '{'x ' * 28}x...'"
    )
    assert (found.rows, found.count) == ((13, 14), 4)


def test_a_label_column_of_free_text():
    labels = [f"the part number {n} is broken" for n in range(30)]
    found = problem(check([f"text {n}" for n in range(30)], labels), "label-is-text")
    assert found.severity == "error"
    assert found.message == (
        "column 'label' has 30 different values in 30 rows, of 6 words on average: it looks like "
        "free text"
    )
    assert "Is it mixed up with --text?" in found.advice


@pytest.mark.parametrize(("form", "words"), [("{}.25", "like measurements"), ("id{}", "like ids")])
def test_a_label_column_of_measurements_or_ids(form, words):
    labels = [form.format(n) for n in range(30)]
    found = problem(check([f"text {n}" for n in range(30)], labels), "label-is-id")
    assert found.severity == "warning"
    assert found.message.endswith(f"it looks {words} rather than labels")


@pytest.mark.parametrize(("rows", "expected"), [(79, True), (80, False)])
def test_many_labels_with_enough_rows_are_labels(rows, expected):
    texts = [f"text {n}" for n in range(rows)]
    report = check(texts, [f"a b c {n % 24}" for n in range(rows)])
    assert ("label-is-text" in codes(report)) is expected


def test_labels_that_differ_by_case_or_spaces():
    texts = [*TEXTS, *(f"more {n} parts" for n in range(9))]
    labels = [*LABELS, *["OK"] * 4, *["ok "] * 3, *["Ok"] * 2]
    found = problem(check(texts, labels), "similar-labels")
    assert found.severity == "warning"
    assert found.message == ("labels that differ only by case or spaces: 'OK' and 'ok ' and 'Ok'")
    assert (found.rows, found.count) == ((17, 18, 19, 20, 21), 5)


@pytest.mark.parametrize(("many", "expected"), [(150, True), (149, False)])
def test_great_imbalance(many, expected):
    texts = [f"text {n}" for n in range(many + 3)]
    report = check(texts, ["no"] * many + ["yes"] * 3)
    assert ("imbalance" in codes(report)) is expected
    if expected:
        assert problem(report, "imbalance").message == (
            "label 'no' has 50 times as many rows as 'yes' (150 and 3)"
        )
        assert "--class-weights balanced" in problem(report, "imbalance").advice


def test_names_of_labels_that_are_not_there():
    report = check(TEXTS, ["OK", "faulty"] * 6, label_names={"OK": "fine", "fault": "F", "x": "y"})
    found = problem(report, "unknown-label-names")
    assert found.severity == "error"
    assert found.message == (
        "column 'label' has no label 'fault' or 'x', but --label-names names them. Did you mean "
        "'faulty'?"
    )
    assert found.advice == "The labels are 'OK', 'faulty'."
    assert report.profile.labels[0].name == "fine"


def test_one_unknown_name_and_many_labels():
    labels = [f"l{n % 12:02}" for n in range(48)]
    report = check([f"text {n} x" for n in range(48)], labels, label_names={"l12": "x"})
    found = problem(report, "unknown-label-names")
    assert found.message.startswith(
        "column 'label' has no label 'l12', but --label-names names it."
    )
    assert found.advice.endswith("'l08', 'l09' and 2 more.")


# ---- duplicates


def test_repeated_texts_are_a_note():
    found = problem(check([*TEXTS, *TEXTS[:4]], [*LABELS, *LABELS[:4]]), "duplicate-texts")
    assert found.severity == "note"
    assert found.message == "25.0% of the rows repeat the text of an earlier row"
    assert found.count == 4
