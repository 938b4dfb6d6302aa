"""A saved model on a table: every row predicted and written whole, or judged by its labels."""

import errno
import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

import textgauge
from textgauge.bundle import pyfunc
from textgauge.bundle.decision import DecisionRule
from textgauge.bundle.predictor import Predictor
from textgauge.data import unfinished
from textgauge.data.corpus import gather_texts
from textgauge.data.normal_form import normalise
from textgauge.errors import (
    BundleError,
    ColumnError,
    SettingsError,
    StorageError,
    TableError,
)
from textgauge.evaluating import evaluate_table
from textgauge.review.deciding import ChosenRule
from textgauge.review.decision import measure
from textgauge.review.explanation import Explainer
from textgauge.review.metrics import evaluate
from textgauge.scoring import load_predictor, score_model, score_table
from textgauge.text.tokens import tokenize

TABLE = pl.DataFrame(
    {
        "id": [10, 20, 30, 40, 50],
        "text": [
            "steel component manufactured in 2010 in good condition",
            None,
            "Steel  component manufactured in 2010 in good condition",
            "iron component manufactured in 1975 in poor condition",
            "",
        ],
        "price": [1.5, 2.5, None, -0.25, 0.0],
    }
)
ADDED = ["predicted_label", "probability", "decision"]
READERS = {
    ".csv": pl.read_csv,
    ".tsv": lambda path: pl.read_csv(path, separator="\t"),
    ".jsonl": pl.read_ndjson,
    ".ndjson": pl.read_ndjson,
    ".parquet": pl.read_parquet,
    ".arrow": pl.read_ipc,
}


@pytest.fixture(scope="module")
def predictor(trained):
    return Predictor.load(trained.folder, cores=1)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


# ---- the stored rule


def test_every_way_of_predicting_decides_alike(deciding, tmp_path):
    texts = pl.concat([deciding.corpus.test.texts, pl.Series(["", "iron of 1950", "no words"])])
    predictor = Predictor.load(deciding.folder)
    found = predictor.predict(texts)
    decided = DecisionRule.from_json(deciding.settings["decision"], ["0", "1"]).decide(
        found.probabilities
    )
    expected = [
        "review" if review else str(label)
        for label, review in zip(decided.label, decided.review, strict=True)
    ]
    assert set(expected) == {"0", "1", "review"}
    assert found.decision == expected
    assert found.labels == [str(label) for label in found.probabilities.argmax(1)]
    assert any(a not in (b, "review") for a, b in zip(expected, found.labels, strict=True))

    assert predictor.predict_frame(texts)["decision"].to_list() == expected
    table = texts.to_frame("text")
    for suffix, read in ((".csv", pl.read_csv), (".parquet", pl.read_parquet)):
        score_model(deciding.folder, table, tmp_path / f"scored{suffix}")
        scored = read(tmp_path / f"scored{suffix}").cast({"decision": pl.String})
        assert scored["decision"].to_list() == expected
        assert scored["predicted_label"].cast(pl.String).to_list() == found.labels
    served = pyfunc._load_pyfunc(str(deciding.folder)).predict(texts.to_list())
    assert served["decision"].to_list() == expected
    explained = Explainer.load(deciding.folder).explain(texts)
    assert [each.decision for each in explained] == expected
    assert [each.label for each in explained] == [str(label) for label in decided.label]


def test_evaluate_tells_what_the_stored_rule_comes_to(deciding):
    predictor, test = Predictor.load(deciding.folder), deciding.corpus.test
    found = evaluate_table(predictor, labelled_notes(deciding))
    probabilities = predictor.predict(test.texts).probabilities
    expected = measure(test, probabilities, ["0", "1"], ChosenRule(predictor.rule))
    assert found.decision == expected
    assert found.decision.band is not None
    assert found.to_json()["decision"]["cost"] == expected.cost


# ---- score


@pytest.mark.parametrize("suffix", READERS)
def test_every_column_is_kept_and_three_are_added_in_every_format(predictor, tmp_path, suffix):
    out = tmp_path / f"scored{suffix}"
    score_table(predictor, TABLE, out)
    found = READERS[suffix](out)
    assert found.columns == [*TABLE.columns, *ADDED]
    assert found.select(TABLE.columns).equals(TABLE)
    expected = predictor.predict_frame(TABLE["text"])
    rows = TABLE["text"].is_not_null()
    assert found.filter(rows)["predicted_label"].cast(pl.String).to_list() == (
        expected.filter(rows)["predicted_label"].to_list()
    )
    np.testing.assert_allclose(
        found.filter(rows)["probability"], expected.filter(rows)["probability"], rtol=1e-6
    )
    assert found["decision"].equals(found["predicted_label"])
    assert names_in(tmp_path) == [out.name]


def test_a_row_without_a_text_is_not_predicted_and_an_empty_text_is(predictor, tmp_path):
    score_table(predictor, TABLE, tmp_path / "scored.parquet")
    found = pl.read_parquet(tmp_path / "scored.parquet").select(ADDED)
    assert found.row(1) == (None, None, None)
    assert None not in found.row(4)
    assert found.null_count().row(0) == (1, 1, 1)


def test_texts_with_one_normal_form_get_one_prediction_and_count_once(predictor, tmp_path):
    scored = score_table(predictor, TABLE, tmp_path / "scored.parquet")
    found = pl.read_parquet(tmp_path / "scored.parquet").select(ADDED)
    assert found.row(0) == found.row(2)
    assert (scored.rows, scored.unique_texts) == (5, 3)


def test_the_result_tells_rows_texts_and_the_time_it_took(predictor, tmp_path):
    scored = score_table(predictor, TABLE, str(tmp_path / "scored.csv"))
    assert scored.seconds > 0
    assert scored.to_json() == {
        "rows": 5,
        "unique_texts": 3,
        "unique_texts_estimated": False,
        "seconds": round(scored.seconds, 3),
        "rows_per_second": round(5 / scored.seconds),
        "out": str(tmp_path / "scored.csv"),
        "rows_without_text": 1,
        "unreadable_rows": 0,
        "unreadable": None,
        "continued_from": 0,
        "unknown_word_share": 0.0,
        "outside_number_range_share": 0.0,
        "warnings": [],
    }
    json.dumps(scored.to_json())


def test_what_the_model_could_not_read_is_counted_over_the_rows(predictor, tmp_path):
    rows = [
        *["steel component manufactured in 2010 in good condition"] * 90,
        "STEEL component manufactured in 2010  in good condition",
        *["unobtanium component manufactured in 2077 in good condition"] * 3,
        None,
        "steel, 12 and 1990",
        "",
    ]
    scored = score_table(predictor, pl.DataFrame({"text": rows}), tmp_path / "scored.csv")
    known = set(predictor.encoder.vocabulary.words)
    unknown = tokens = outside = 0  # word by word, without arrays
    for row in rows:
        if row is not None:
            found = tokenize(normalise(pl.Series([row])))[0].to_list()
            words = [token for token in found if not token[0].isdigit()]
            unknown += sum(word not in known for word in words)
            tokens += len(found)
            outside += any(not 1970 <= float(t) <= 2019 for t in found if t[0].isdigit())
    read = scored.read
    assert (read.rows, read.tokens, read.unknown, read.outside) == (96, tokens, unknown, outside)
    assert outside == 4
    assert scored.to_json()["outside_number_range_share"] == 4 / 96
    (warning,) = scored.to_json()["warnings"]
    assert warning.startswith("4.2% of the rows hold a number below 1970 or above 2019, the range")
    assert "rows with a number outside the range that it was trained on: 4.2%" in scored.read_told


def test_a_model_of_before_warns_of_nothing(trained, tmp_path):
    folder = Path(shutil.copytree(trained.folder, tmp_path / "model"))
    (folder / "profile.json").unlink()
    table = pl.DataFrame({"text": ["unobtanium of 2077"], "label": ["1"]})
    old = load_predictor(folder)
    scored = score_table(old, table, tmp_path / "scored.csv")
    assert scored.warnings == ()
    assert scored.to_json()["outside_number_range_share"] == 1.0
    assert evaluate_table(old, table).to_json()["drift"] is None


def test_an_evaluation_tells_what_the_model_was_not_trained_for(predictor):
    table = pl.DataFrame(
        {
            "text": [f"unobtanium component manufactured in {year}" for year in range(2010, 2040)],
            "label": ["0"] * 29 + ["seven"],
        }
    )
    found = evaluate_table(predictor, table)
    assert found.drift.rows == 30
    assert found.drift.new_labels == {}  # `unknown_labels` has them
    assert found.unknown_labels == {"seven": 1}
    assert "20.0% of the words are unknown to the model" in found.drift.warnings[0]
    assert "66.7% of the rows hold a number above 2019" in found.drift.warnings[1]
    assert found.to_json()["drift"]["warnings"] == list(found.drift.warnings)
    assert [group["what"] for group in found.to_json()["slice_groups"]] == [
        "length", "first number",
    ]  # fmt: skip


def test_a_file_of_texts_is_scored_as_it_is_written(predictor, tmp_path):
    source = tmp_path / "notes.csv"
    source.write_text("id;note\n007;steel\n008;iron\n")
    score_table(predictor, source, tmp_path / "scored.csv", text="note")
    lines = (tmp_path / "scored.csv").read_text().splitlines()
    assert lines[0] == "id,note,predicted_label,probability,decision"
    assert lines[1].startswith("007,steel,")


def test_encoding_and_delimiter_of_the_table_can_be_given(predictor, tmp_path):
    source = tmp_path / "notes.txt"
    source.write_bytes("text~maß\nstéel~1\n".encode("latin-1"))
    score_table(predictor, source, tmp_path / "a.jsonl", encoding="latin-1", delimiter="~")
    (row,) = pl.read_ndjson(tmp_path / "a.jsonl").rows(named=True)
    assert (row["text"], row["maß"]) == ("stéel", "1")


def test_json_lines_stay_as_they_stand_and_three_keys_are_added(predictor, tmp_path):
    source = tmp_path / "notes.jsonl"
    early = '{"text": "steel", "n": 5, "more": {"a": [1.50]}}'
    late = ['{"text": "iron", "late": 1e2}', '{"text": "iron", "decision": "x"}']
    source.write_text("\n".join([*[early] * 6_000, *late]) + "\n")
    scored = score_table(predictor, source, tmp_path / "a.jsonl")
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert lines[0].startswith(f'{early[:-1]},"predicted_label":"')
    assert lines[6_000].startswith(f'{late[0][:-1]},"predicted_label":"')
    assert list(json.loads(lines[6_000])) == ["text", "late", *ADDED]
    assert (scored.rows, scored.unreadable_rows) == (6_001, 1)

    scored = score_table(predictor, source, tmp_path / "a.csv")
    assert (scored.rows, scored.unreadable_rows) == (6_000, 2)
    beside = (tmp_path / "a.csv.unreadable.jsonl").read_text().splitlines()
    assert [json.loads(line)["content"] for line in beside] == late
    assert pl.read_csv(tmp_path / "a.csv").row(0)[1:3] == (5, '{"a": [1.5]}')


def test_the_format_and_standard_output_can_be_named_from_python(
    trained, tmp_path, capsysbinary, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    score = partial(textgauge.score, trained.folder, TABLE, format="jsonl", quiet=True)
    score("scored")
    assert score("-").out == "standard output"
    assert capsysbinary.readouterr().out == Path("scored").read_bytes()
    assert pl.read_ndjson("scored").columns == [*TABLE.columns, *ADDED]
    with pytest.raises(SettingsError, match="--format must be one of"):
        textgauge.score(trained.folder, TABLE, "other", format="xlsx", quiet=True)


def test_a_pandas_table_is_scored_too(predictor, tmp_path):
    frame = pd.DataFrame({"text": ["steel", None], "n": [1, 2]})
    score_table(predictor, frame, tmp_path / "scored.csv")
    assert pl.read_csv(tmp_path / "scored.csv").columns == ["text", "n", *ADDED]


def test_an_unknown_ending_is_told_with_those_that_are_known(predictor, tmp_path):
    with pytest.raises(StorageError) as error:
        score_table(predictor, TABLE, tmp_path / "scored.xlsx")
    assert str(error.value) == (
        f"{tmp_path / 'scored.xlsx'} has an ending that is not known; score writes .csv, .tsv, "
        ".jsonl, .ndjson, .parquet, .arrow."
    )
    assert names_in(tmp_path) == []


def test_the_ending_may_be_in_capitals(predictor, tmp_path):
    score_table(predictor, TABLE, tmp_path / "SCORED.CSV")
    assert pl.read_csv(tmp_path / "SCORED.CSV").height == 5


def test_a_missing_column_names_the_nearest(predictor, tmp_path):
    with pytest.raises(ColumnError) as error:
        score_table(predictor, TABLE, tmp_path / "scored.csv", text="texts")
    assert str(error.value) == (
        "the table has no column 'texts'; it has 'id', 'text', 'price'. Did you mean 'text'? "
        "Pass --text NAME."
    )


def test_a_column_that_holds_no_texts_is_told(predictor, tmp_path):
    frame = pl.DataFrame({"text": [["steel"], ["iron"]]})
    with pytest.raises(ColumnError) as error:
        score_table(predictor, frame, tmp_path / "scored.parquet")
    assert str(error.value) == (
        "column 'text' of DataFrame holds List(String), no texts. Pass --text NAME."
    )


def test_numbers_are_read_as_texts(predictor, tmp_path):
    score_table(predictor, pl.DataFrame({"text": [1979, None]}), tmp_path / "scored.parquet")
    found = pl.read_parquet(tmp_path / "scored.parquet")
    assert found["text"].to_list() == [1979, None]
    assert found["predicted_label"][0] == predictor.predict(["1979"]).labels[0]


@pytest.mark.parametrize("name", ADDED)
def test_a_column_that_is_there_already_is_never_overwritten(predictor, tmp_path, name):
    with pytest.raises(TableError) as error:
        score_table(predictor, TABLE.rename({"price": name}), tmp_path / "scored.csv")
    assert str(error.value) == (
        f"the table already has a column {name!r}; rename or drop it first."
    )
    assert names_in(tmp_path) == []


def test_the_folder_of_the_output_is_made(predictor, tmp_path):
    score_table(predictor, TABLE, tmp_path / "a" / "b" / "scored.csv")
    assert names_in(tmp_path / "a" / "b") == ["scored.csv"]


def test_an_earlier_output_is_replaced_only_where_that_is_asked_for(predictor, tmp_path):
    out = tmp_path / "scored.csv"
    out.write_text("earlier")
    with pytest.raises(StorageError, match=r"scored\.csv is there already. Pass --overwrite"):
        score_table(predictor, TABLE, out)
    assert out.read_text() == "earlier"
    assert names_in(tmp_path) == ["scored.csv"]
    score_table(predictor, TABLE, out, overwrite=True)
    assert pl.read_csv(out).height == 5


def test_the_output_can_be_read_by_whom_the_mask_allows(predictor, tmp_path):
    score_table(predictor, TABLE, tmp_path / "scored.csv")
    (tmp_path / "usual").touch()
    usual = (tmp_path / "usual").stat().st_mode
    assert (tmp_path / "scored.csv").stat().st_mode == usual


def test_a_disk_that_fills_up_leaves_the_earlier_output_and_nothing_else(
    predictor, tmp_path, monkeypatch
):
    out = tmp_path / "scored.csv"
    out.write_text("earlier")

    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(unfinished, "_settle", full)
    with pytest.raises(StorageError) as error:
        score_table(predictor, TABLE, out, overwrite=True)
    assert str(error.value).startswith(f"{out} cannot be written: ")
    assert "No space left on device" in str(error.value)
    assert out.read_text() == "earlier"
    assert names_in(tmp_path) == ["scored.csv"]


def test_an_interruption_leaves_nothing(predictor, tmp_path, monkeypatch):
    def write_csv(frame, path, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(pl.DataFrame, "write_csv", write_csv)
    with pytest.raises(KeyboardInterrupt):
        score_table(predictor, TABLE, tmp_path / "scored.csv")
    assert names_in(tmp_path) == []


def test_where_nothing_can_be_written_it_is_told(predictor, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as error:
        score_table(predictor, TABLE, tmp_path / "file" / "scored.csv")
    assert str(error.value).startswith(f"{tmp_path / 'file' / 'scored.csv'} cannot be written: ")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(StorageError, match=r"folder\.csv is a folder"):
        score_table(predictor, TABLE, tmp_path / "folder.csv")
    assert names_in(tmp_path) == ["file", "folder.csv"]


def test_what_a_format_cannot_hold_is_told(predictor, tmp_path):
    nested = TABLE.with_columns(words=pl.col("text").str.split(" "))
    for form, table, what, formats in (
        ("csv", nested, "words' holds List(String)", ".jsonl or .parquet or .arrow"),
        ("jsonl", TABLE.cast({"text": pl.Binary}), "text' holds Binary", ".parquet or .arrow"),
    ):
        for out in (tmp_path / f"scored.{form}", "-"):
            with pytest.raises(StorageError) as error:
                score_table(predictor, table, out, form=form)
            assert str(error.value) == (
                f"column '{what}, which a .{form} file cannot hold. Write {formats}."
            )
    assert names_in(tmp_path) == []
    score_table(predictor, nested, tmp_path / "scored.parquet")
    assert pl.read_parquet(tmp_path / "scored.parquet")["words"].to_list()[3][0] == "iron"


# ---- evaluate


def labelled_notes(trained):
    """The component notes of the test part, a row each, and their labels."""
    test = trained.corpus.test
    rows = np.repeat(test.text_index, test.count)
    labels = np.repeat(test.label, test.count)
    classes = np.array(trained.corpus.classes)
    return pl.DataFrame({"text": test.texts.gather(rows), "label": classes[labels]})


def test_a_table_is_judged_as_its_texts_are_judged_directly(trained, predictor):
    found = evaluate_table(predictor, labelled_notes(trained).sample(fraction=1, shuffle=True))
    expected = evaluate(trained.corpus.test, trained.probabilities, trained.corpus.classes)
    assert (found.rows, found.unique_texts) == (trained.corpus.test.rows, len(trained.corpus.test))
    assert found.unknown_labels == {}
    assert found.evaluation.rows.confusion == expected.rows.confusion
    assert found.evaluation.texts.confusion == expected.texts.confusion
    assert found.evaluation.rows.loss == pytest.approx(expected.rows.loss, rel=1e-4)
    assert found.evaluation.texts.loss == pytest.approx(expected.texts.loss, rel=1e-4)


def test_the_json_values_are_those_that_the_command_promises(trained, predictor):
    found = evaluate_table(predictor, labelled_notes(trained))
    values = json.loads(json.dumps(found.to_json()))
    assert list(values) == [
        "eval_loss", "eval_accuracy", "eval_macro_f1", "rows", "unique_texts", "unknown_labels",
        "over_rows", "over_texts", "decision", "slice_groups", "drift",
    ]  # fmt: skip
    rows = found.evaluation.rows
    assert (values["eval_loss"], values["eval_accuracy"], values["eval_macro_f1"]) == (
        rows.loss, rows.accuracy, rows.macro_f1,
    )  # fmt: skip
    assert values["over_rows"]["accuracy"] == values["eval_accuracy"]
    assert values["over_texts"]["accuracy"] == found.evaluation.texts.accuracy


def test_rows_without_text_or_label_are_left_out(trained, predictor):
    notes = labelled_notes(trained)
    gaps = pl.DataFrame({"text": [None, "steel", "  "], "label": ["0", None, "1"]})
    found = evaluate_table(predictor, pl.concat([notes, gaps]))
    assert found.rows == notes.height
    assert found.evaluation == evaluate_table(predictor, notes).evaluation


def test_unknown_labels_are_counted_and_left_out(trained, predictor):
    notes = labelled_notes(trained)
    foreign = pl.DataFrame({"text": ["a", "b", "c"], "label": ["7", "maybe", "7"]})
    found = evaluate_table(predictor, pl.concat([foreign, notes]))
    assert found.unknown_labels == {"7": 2, "maybe": 1}
    assert found.rows == notes.height
    assert found.evaluation == evaluate_table(predictor, notes).evaluation


def test_a_table_with_none_of_the_models_labels_is_refused(predictor):
    frame = pl.DataFrame({"text": list("abcdefg"), "fault": list("tuvwxyz")})
    with pytest.raises(TableError) as error:
        evaluate_table(predictor, frame, label="fault")
    assert str(error.value) == (
        "DataFrame has none of the model's labels (0, 1); its label column 'fault' holds 't', "
        "'u', 'v', 'w', 'x'. Pass --label NAME."
    )


def test_a_table_without_any_label_is_refused(predictor):
    frame = pl.DataFrame({"text": ["a"], "label": [None]}, schema_overrides={"label": pl.String})
    with pytest.raises(TableError, match="its label column 'label' holds nothing"):
        evaluate_table(predictor, frame)


def test_one_label_of_two_is_enough_to_judge(predictor):
    frame = pl.DataFrame({"text": ["steel", "steel", "iron"], "label": ["1", "1", "1"]})
    found = evaluate_table(predictor, frame)
    assert (found.rows, found.unique_texts) == (3, 2)
    texts = gather_texts(frame, predictor.classes)
    probabilities = predictor.predict(texts.texts).probabilities
    assert found.evaluation == evaluate(
        texts, probabilities, predictor.classes, with_intervals=True
    )


def test_columns_encoding_and_delimiter_can_be_named(predictor, tmp_path):
    source = tmp_path / "notes.txt"
    source.write_bytes("note~maß\nstéel~1\nsteel~0\n".encode("latin-1"))
    found = evaluate_table(
        predictor, source, text="note", label="maß", encoding="latin-1", delimiter="~"
    )
    assert (found.rows, found.unique_texts) == (2, 2)


# ---- load


def test_a_model_is_loaded_from_its_folder(trained, predictor):
    for address in (trained.folder, str(trained.folder)):
        loaded = load_predictor(address)
        assert loaded.predict(["steel"]).labels == predictor.predict(["steel"]).labels


def test_a_model_that_is_not_there_is_told(tmp_path):
    with pytest.raises(BundleError, match="none does not exist"):
        load_predictor(tmp_path / "none")
    with pytest.raises(BundleError, match=r"is no saved model: it has no textgauge\.json"):
        load_predictor(tmp_path)
