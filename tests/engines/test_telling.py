"""What a person is told of a table and its split before the training."""

from dataclasses import replace

import polars as pl

from textgauge import describe
from textgauge.config import Config
from textgauge.data.corpus import PartSize
from textgauge.data.tables import Columns, read_table
from textgauge.engines.local import LocalTable
from textgauge.engines.telling import tell_lacking_labels
from textgauge.training.progress import NoProgress


class Told(NoProgress):
    def __init__(self):
        self.warnings = []

    def warn(self, text):
        self.warnings.append(text)


def opened(labels_of_test, told):
    labels = ["a", "b"] * 10 + labels_of_test
    frame = pl.DataFrame(
        {
            "text": [f"text {n}" for n in range(len(labels))],
            "label": labels,
            "part": ["train"] * 16 + ["val"] * 4 + ["test"] * len(labels_of_test),
        }
    )
    table = read_table(frame, Columns("text", "label", split="part"))
    return LocalTable(table, Config(split_column="part"), told)


def test_a_label_that_the_test_part_lacks_is_told_after_the_split_and_stays_with_the_run():
    told = Told()
    table = opened(["a", "a"], told)
    assert told.warnings == [
        "DataFrame: no row of the test part has the label 'b': how well such texts are found "
        "cannot be measured. Put such rows into the test part, or split in another way."
    ]
    assert [each.code for each in table.check.problems] == ["label-not-in-test"]
    assert opened(["a", "b"], told).check.problems == ()
    assert len(told.warnings) == 1


def test_a_text_in_two_parts_is_one_distinct_text():
    frame = pl.DataFrame({"text": ["x"] * 2 + ["y", "z", "v", "w"], "label": ["a", "a", *"baba"]})
    frame = frame.with_columns(part=pl.Series(["train", "test", "train", "test", "val", "val"]))
    columns = Columns("text", "label", split="part")
    table = LocalTable(read_table(frame, columns), Config(split_column="part"), NoProgress())
    facts = describe.data_facts(table.facts, table.check, table.corpus)
    assert facts["distinct_texts"] == table.check.profile.distinct_texts == 5
    assert sum(part["texts"] for part in facts["parts"].values()) == 6


def test_of_a_sample_of_a_part_nothing_is_told():
    told = Told()
    corpus = opened(["a", "a"], NoProgress()).corpus
    sampled = replace(corpus, sizes={**corpus.sizes, "test": PartSize(9, 9)})
    report = opened(["a", "b"], told).check
    assert tell_lacking_labels(sampled, report, told) == report
    assert told.warnings == []
