"""What differs between two saved models, by names that people read."""

from textgauge.review.changes import changes


def told(**other):
    """Settings as a bundle holds them."""
    return {
        "version": "0.1.0",
        "classes": ["a", "b"],
        "decision": None,
        "data": {
            "name": "notes.csv",
            "rows": 10,
            "distinct_texts": 8,
            "digest": "ab" * 32,
            "split": "s",
        },
        "config": {"lr": 0.1, "label_names": {"a": "good"}},
        "figures": {
            "LSTM": {"rows": {"accuracy": 0.5, "macro_f1": 0.5, "loss": 1.0}},
            "TF-IDF": {},
        },
        **other,
    }


def listed(before, now):
    return {each.name: (each.recorded, each.now) for each in changes(before, now)}


def test_nothing_differs_from_itself():
    assert changes(told(), told()) == ()


def test_each_kind_of_change_has_its_name():
    rule = {"weights": [1.0, 3.0], "costs": [3.0, 1.0], "review_below": 0.9}
    now = told(
        classes=["a", "b", "c"],
        decision=rule,
        data={
            "name": "more.csv",
            "rows": 20,
            "distinct_texts": 8,
            "digest": "c" * 64,
            "split": "s",
        },
        config={"lr": 0.2, "label_names": {"a": "fine"}},
        figures={"LSTM": {"rows": {"accuracy": 0.75, "macro_f1": 0.5, "loss": 1.0}}},
    )
    assert listed(told(), now) == {
        "accuracy on its test part": (0.5, 0.75),
        "labels": ("a, b", "a, b, c"),
        "costs": (None, "3, 1"),
        "threshold": (None, 0.75),
        "review below": (None, 0.9),
        "table": ("notes.csv", "more.csv"),
        "rows": (10, 20),
        "digest of train, val and test": ("ab" * 8, "c" * 16),
        "setting lr": (0.1, 0.2),
        "setting label_names a": ("good", "fine"),
    }


def test_another_split_of_the_same_table_is_not_told_as_other_data():
    data = {**told()["data"], "digest": "cd" * 32, "split": "another"}
    assert listed(told(), told(data=data)) == {
        "split": ("s", "another"),
        "digest of train, val and test": ("ab" * 8, "cd" * 8),
    }


def test_a_model_that_tells_little_is_no_error():
    assert listed({}, told(config={}))["rows"] == (None, 10)
