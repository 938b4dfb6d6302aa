"""Sets of labels: how they are read, what they hold, and how the split cuts them."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from textgauge.config import Config
from textgauge.data.checks import check_table
from textgauge.data.corpus import build_corpus
from textgauge.data.label_sets import LabelSets, as_written, separator_in, strata
from textgauge.data.tables import read_table
from textgauge.errors import ColumnError, SettingsError, TableError

THIRDS = (0.6, 0.2, 0.2)


def table_of(labels, texts=None, **how):
    """A table read with sets; each row a text of its own unless they are given."""
    texts = texts or [f"text number {at}" for at in range(len(labels))]
    return read_table(pl.DataFrame({"text": texts, "label": labels}), separator="|", **how)


def corpus_of(labels, texts=None, **how):
    return build_corpus(
        table_of(labels, texts).frame, seed=0, fractions=THIRDS, separator="|", **how
    )


def problems_of(labels, **how):
    return {p.code: p for p in check_table(table_of(labels), separator="|", **how).problems}


# ---- reading


def test_a_set_is_its_labels_in_any_order_without_blanks_repeats_and_empty_parts():
    cells = [" b | a ", "a|b", "b||a|b|", "", "  ", None, "|", "c"]
    assert table_of(cells).frame["label"].to_list() == ["a|b", "a|b", "a|b", "", "", "", "", "c"]


def test_lists_are_read_as_joined_texts_are_and_numbers_become_strings():
    read = table_of([["b", "a"], ["a", " b ", "a"], [], None, ["c"]])
    assert read.frame["label"].to_list() == ["a|b", "a|b", "", "", "c"]
    assert table_of([[2, 10], [1]]).frame["label"].to_list() == ["10|2", "1"]
    assert table_of([[2.0], [1.0, 3.0]]).frame["label"].to_list() == ["2", "1|3"]
    assert table_of([[True], [False, True]]).frame["label"].to_list() == ["true", "false|true"]


def test_null_in_a_list_is_left_out_and_told():
    read = table_of([["a", None], ["b"], None])
    assert read.frame["label"].to_list() == ["a", "b", ""]
    (problem,) = read.problems
    assert (problem.code, problem.rows, problem.count) == ("null-in-list", (1,), 1)


def test_lists_of_lists_and_a_separator_within_a_label_are_refused():
    with pytest.raises(ColumnError, match="lists of lists or of objects"):
        table_of([[["a"]], [["b"]]])
    with pytest.raises(ColumnError, match=r"'b\|c' in row 2. Pass --label-separator"):
        table_of([["a"], ["b|c"]])


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "arrow"])
def test_lists_come_from_files_and_without_multi_label_the_option_is_named(tmp_path, ending):
    frame = pl.DataFrame({"text": ["x", "y"], "label": [["b", "a"], ["a"]]})
    path = tmp_path / f"t.{ending}"
    write = {"jsonl": "write_ndjson", "parquet": "write_parquet", "arrow": "write_ipc"}[ending]
    getattr(frame, write)(path)
    assert read_table(path, separator="|").frame["label"].to_list() == ["a|b", "a"]
    with pytest.raises(ColumnError, match="pass --multi-label"):
        read_table(path)
    with pytest.raises(ColumnError, match="pass --multi-label"):
        read_table(frame)


def test_json_lines_may_mix_lists_texts_and_nothing(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text(
        '{"text":"x","label":["b",1,true]}\n\n{"text":"y","label":"c"}\n{"text":"z","label":null}\n'
    )
    assert read_table(path, separator="|").frame["label"].to_list() == ["1|b|true", "c", ""]
    path.write_text('{"text":"x","label":["a"]}\n{"text":"y","label":[["a"]]}\n')
    with pytest.raises(ColumnError, match="lists of lists or objects in row 2"):
        read_table(path, separator="|")


def test_a_pandas_column_of_lists_is_read():
    frame = pd.DataFrame({"text": ["x", "y"], "label": [["b", "a"], []]})
    assert read_table(frame, separator="|").frame["label"].to_list() == ["a|b", ""]


@pytest.mark.parametrize("separator", ["", " ", " |", "\t"])
def test_a_separator_that_is_nothing_or_blank_is_refused(separator):
    with pytest.raises(SettingsError, match="label_separator must be"):
        Config(multi_label=True, label_separator=separator)


def test_costs_are_refused_in_a_sentence():
    with pytest.raises(SettingsError, match="cost is not for multi_label"):
        Config(multi_label=True, cost={"false-a": 2.0})


# ---- what sets hold


def test_members_and_the_matrix_of_sets_worked_by_hand():
    sets = LabelSets.of(["1", "2", "10"], ["10|2", "", "1"], "|")
    assert sets.sets == ("", "1", "10|2")
    place, label = sets.members(np.array([2, 0, 1]))
    assert place.tolist() == [0, 0, 2]
    assert label.tolist() == [1, 2, 0]
    assert sets.matrix(np.array([2, 0])).tolist() == [[False, True, True], [False, False, False]]


def test_a_text_with_two_sets_has_each_label_in_the_rows_that_hold_it():
    corpus = corpus_of(
        ["a|b", "a", "a", "c", "b"] + ["a|c", "b", ""] * 8,
        ["same", "same", "same", "other", "third"] + [f"t{at}" for at in range(24)],
    )
    parts = [corpus.train, corpus.val, corpus.test]
    (part,) = [p for p in parts if "same" in p.texts.to_list()]
    at = part.texts.to_list().index("same")
    text, label, rows = part.cells
    mine = text == at
    assert [corpus.classes[n] for n in label[mine]] == ["a", "b"]
    assert rows[mine].tolist() == [3, 1]
    assert part.text_rows[at] == 3
    assert sum(p.label_rows(3).sum() for p in parts) == 4 + 1 + 1 + 8 * 3


def test_the_order_of_rows_and_labels_changes_nothing():
    labels = ["a|b", "b", "", "c|a", "c", "a|b"] * 6
    texts = [f"text {at}" for at in range(36)]
    turned = ["|".join(reversed(each.split("|"))) for each in labels]
    one, other = corpus_of(labels, texts), corpus_of(turned[::-1], texts[::-1])
    assert one.digest == other.digest
    assert one.test.texts.to_list() == other.test.texts.to_list()


# ---- the split


def test_no_text_straddles_the_split_and_labels_keep_their_shares():
    random = np.random.default_rng(0)
    labels = ["|".join(sorted(random.choice(list("abcdef"), 2, replace=False))) for _ in range(900)]
    labels[:12] = ["rare|a"] * 6 + ["rare|b|c|d"] * 3 + ["e|f|rare"] * 3
    corpus = corpus_of(labels, [f"text {at % 600}" for at in range(900)])
    texts = [set(part.texts.to_list()) for part in (corpus.train, corpus.val, corpus.test)]
    assert not texts[0] & texts[1] | texts[0] & texts[2] | texts[1] & texts[2]
    shares = [p.label_rows(7) / p.rows for p in (corpus.train, corpus.val, corpus.test)]
    assert np.abs(shares[0] - shares[2]).max() < 0.07
    rare = corpus.classes.index("rare")
    assert all(part.label_rows(7)[rare] > 0 for part in (corpus.train, corpus.val, corpus.test))


def test_frequent_sets_are_strata_and_rare_ones_are_cut_by_their_rarest_label():
    rows = pl.DataFrame(
        {
            "key": [f"t{at}" for at in range(24)],
            "label": ["a|b"] * 10 + ["a"] * 11 + ["a|c", "b|c", ""],
        }
    )
    assert strata(rows, "|").to_list()[9:] == ["set a|b"] + ["set a"] * 11 + [
        "label c",
        "label c",
        "set ",
    ]


# ---- what is told


def test_labels_are_counted_one_by_one_and_rows_without_any_are_told():
    report = check_table(table_of(["a|b", "a", "", "b|c", "a"] * 4), separator="|")
    assert {label.label: label.rows for label in report.profile.labels} == {"a": 12, "b": 8, "c": 4}
    assert report.profile.missing_labels == 0
    codes = {problem.code: problem for problem in report.problems}
    assert codes["rows-without-labels"].count == 4
    assert report.ok


def test_a_label_in_too_few_texts_is_told_by_its_name():
    found = problems_of(["a|b", "a", "b", "a|c"] + ["a", "b"] * 5)
    assert "'c' (1)" in found["few-texts"].message


def test_a_separator_that_joins_nothing_is_warned_of():
    assert "'|' joins none" in problems_of(["a;b", "a", "b"] * 5)["no-joined-labels"].message


def test_labels_that_look_joined_are_warned_of_and_nothing_is_changed():
    frame = pl.DataFrame({"text": [f"t{n}" for n in range(30)], "label": ["a", "b", "a;b"] * 10})
    table = read_table(frame)
    (found,) = [p for p in check_table(table).problems if p.code == "joined-labels"]
    assert found.severity == "warning"
    assert "--multi-label --label-separator ';'" in found.advice
    assert set(table.frame["label"]) == {"a", "b", "a;b"}


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (["a", "b", "a|b"], "|"),
        (["c", "c, d", "d, c"], ","),
        (["Smith, John", "Doe, Jane"], None),
        (["a", "b"], None),
        (["steel/iron", "a|x"], None),
    ],
)
def test_which_values_look_joined(labels, found):
    counts = pl.DataFrame({"label": labels, "rows": [10] * len(labels)})
    seen = separator_in(counts)
    assert (None if seen is None else seen[0]) == found


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a|b"] * 9, "every row has the same labels, a and b"),
        ([""] * 9, "no row has any"),
        (["a", ""] * 9, "the only one is 'a'"),
    ],
)
def test_tables_of_which_nothing_can_be_learned_are_refused(labels, message):
    with pytest.raises(TableError, match=message):
        corpus_of(labels)


def test_a_label_that_train_lacks_is_told():
    frame = table_of(["a|b", "a", "b", "b|c", "c"] * 4).frame.with_columns(
        split=pl.Series(["train", "train", "train", "test", "test"] * 4)
    )
    corpus = build_corpus(frame, seed=0, fractions=THIRDS, separator="|")
    assert corpus.classes == ("a", "b", "c")
    assert corpus.train.label_rows(3)[2] == 0


def test_a_thousand_labels_take_no_time():
    random = np.random.default_rng(1)
    labels = ["|".join(map(str, random.choice(1_000, 3, replace=False))) for _ in range(4_000)]
    corpus = corpus_of(labels)
    assert len(corpus.classes) == 1_000
    assert corpus.classes[:3] == ("0", "1", "2")  # by value, as a person would
    assert int(corpus.train.label_rows(1_000).sum()) == 3 * corpus.train.rows


def test_as_written_keeps_the_columns_name():
    assert as_written(pl.Series("tags", ["b|a"]), "t", "|")[0].name == "tags"
