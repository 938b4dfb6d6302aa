"""Every setting: its type, its bounds, what its error says; TOML files; JSON values."""

import ast
import dataclasses
import inspect
import itertools
import json
import math
import tomllib

import pytest

from textgauge.config import Config
from textgauge.errors import SettingsError

OTHER_VALUES = {
    "text": "note",
    "label": "class",
    "split_column": "part",
    "slice_column": "plant",
    "label_names": {"0": "compliant", "1": "non-compliant"},
    "label_separator": ";",
    "val_fraction": 0.1,
    "test_fraction": 0.3,
    "seed": 7,
    "numbers": False,
    "number_bins": 8,
    "min_texts": 3,
    "max_words": 900,
    "max_tokens": 12,
    "vectors": "glove.txt",
    "freeze_vectors": True,
    "embedding_size": 50,
    "hidden_size": 60,
    "dropout": 0.0,
    "recurrent_dropout": 0.5,
    "bidirectional": True,
    "filters": 40,
    "filter_dropout": 0.25,
    "penalty": 2.0,
    "device": "cpu",
    "model": "cnn",
    "epochs": 3,
    "patience": 2,
    "batch_size": 32,
    "lr": 0.01,
    "label_smoothing": 0.1,
    "class_weights": "balanced",
    "distinct": False,
    "threads": 2,
    "refit": True,
    "contrast": False,
    "cost": {"false-1": 10.0},
    "review_below": 0.9,
}

BOUNDS = [  # setting, smallest and largest that fit, the nearest that do not, what is said
    ("val_fraction", 1e-9, 0.799, [0, -0.1, 1, 1.5], "more than 0 and less than 1"),
    ("test_fraction", 1e-9, 0.799, [0, -0.1, 1, 1.5], "more than 0 and less than 1"),
    ("seed", 0, 2**63 - 1, [-1, 2**63], "0 or more"),
    ("number_bins", 1, 4096, [0, 4097], "from 1 to 4096"),
    ("min_texts", 1, 10**9, [0, 10**9 + 1], "1 or more"),
    ("max_words", 1, 10**8, [0, 10**8 + 1], "1 or more"),
    ("max_tokens", 1, 100_000, [0, 100_001], "from 1 to 100000"),
    ("embedding_size", 1, 8192, [0, 8193], "from 1 to 8192"),
    ("hidden_size", 1, 8192, [0, 8193], "from 1 to 8192"),
    ("dropout", 0.0, 0.999, [-0.001, 1.0], "at least 0 and less than 1"),
    ("recurrent_dropout", 0.0, 0.999, [-0.001, 1.0], "at least 0 and less than 1"),
    ("filters", 1, 8192, [0, 8193], "from 1 to 8192"),
    ("filter_dropout", 0.0, 0.999, [-0.001, 1.0], "at least 0 and less than 1"),
    ("epochs", 1, 10**6, [0, 10**6 + 1], "1 or more"),
    ("patience", 1, 10**6, [0, 10**6 + 1], "1 or more"),
    ("batch_size", 1, 10**6, [0, 10**6 + 1], "1 or more"),
    ("penalty", 1e-9, 1e9, [0, -1.0, 1.1e9], "more than 0 and at most 1e9"),
    ("lr", 1e-12, 10.0, [0, -0.1, 10.1], "more than 0 and at most 10"),
    ("label_smoothing", 0.0, 0.999, [-0.001, 1.0], "at least 0 and less than 1"),
    ("threads", 1, 1024, [0, 1025], "from 1 to 1024"),
    ("review_below", 1e-9, 1.0, [0, -0.5, 1.001], "more than 0 and at most 1"),
    ("review_rate", 0.0, 0.999, [-0.001, 1.0], "at least 0 and less than 1"),
]


def refused(**values):
    """The lines of the error that these settings end in."""
    with pytest.raises(SettingsError) as error:
        Config(**values)
    return str(error.value).splitlines()


def fields_of(*kinds):
    return [field.name for field in dataclasses.fields(Config) if field.type in kinds]


def test_every_setting_has_a_docstring():
    (body,) = (
        node.body
        for node in ast.parse(inspect.getsource(Config)).body
        if isinstance(node, ast.ClassDef)
    )
    documented = {
        node.target.id
        for node, after in itertools.pairwise(body)
        if isinstance(node, ast.AnnAssign)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        and isinstance(after.value.value, str)
        and after.value.value.strip()
    }
    assert documented == {field.name for field in dataclasses.fields(Config)}


def test_the_learning_rate_is_the_architectures_where_none_is_given():
    assert [Config(model=name).lr for name in ("bag", "cnn", "lstm")] == [0.01, 0.001, 0.001]
    assert Config(model="bag", lr=0.5).lr == 0.5


def test_every_setting_has_a_default_and_the_defaults_are_sound():
    assert Config().to_json().keys() == {field.name for field in dataclasses.fields(Config)}


# ---- the decision


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        ("false-1=10", "cost must map \"false-LABEL\" to a cost, was 'false-1=10'."),
        ({1: 10}, 'cost must map "false-LABEL" to a cost, was {1: 10}.'),
        ({"1": 10}, "cost must have keys such as \"false-LABEL\", had '1'."),
        ({"false-": 10}, "cost must have keys such as \"false-LABEL\", had 'false-'."),
        ({"false-1": -1}, "cost must be a number of 0 or more for 'false-1', was -1."),
        ({"false-1": math.inf}, "cost must be a number of 0 or more for 'false-1', was inf."),
        ({"false-1": math.nan}, "cost must be a number of 0 or more for 'false-1', was nan."),
        ({"false-1": True}, "cost must be a number of 0 or more for 'false-1', was True."),
        ({"false-1": "10"}, "cost must be a number of 0 or more for 'false-1', was '10'."),
    ],
)
def test_a_cost_is_a_number_for_a_label(cost, words):
    assert refused(cost=cost) == [words]


def test_a_band_is_given_by_a_certainty_or_by_a_rate():
    assert refused(review_below=0.9, review_rate=0.05) == [
        "review_below and review_rate are two ways to say the same; leave one out (they were 0.9 "
        "and 0.05)."
    ]


# ---- bounds


@pytest.mark.parametrize(("name", "low", "high", "outside", "words"), BOUNDS)
def test_the_bounds_of_a_setting_belong_to_it_and_nothing_beyond(name, low, high, outside, words):
    for value in (low, high):
        assert getattr(Config(**{name: value}), name) == value
    for value in outside:
        assert refused(**{name: value})[0] == f"{name} must be {words}, was {value!r}."


def test_every_setting_that_is_a_number_has_bounds():
    assert {name for name, *_ in BOUNDS} == set(
        fields_of("int", "float", "int | None", "float | None")
    )


@pytest.mark.parametrize("name", fields_of("float", "float | None"))
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_float_is_a_finite_number(name, value):
    assert f"{name} must be" in refused(**{name: value})[0]


@pytest.mark.parametrize(("val", "test", "fits"), [(0.5, 0.49, True), (0.5, 0.5, False)])
def test_something_is_left_to_train_on(val, test, fits):
    if fits:
        assert Config(val_fraction=val, test_fraction=test).fractions == (0.01, 0.5, 0.49)
    else:
        assert refused(val_fraction=val, test_fraction=test) == [
            "val_fraction and test_fraction must leave something to train on: "
            "0.5 + 0.5 is 1 or more."
        ]


def test_the_fractions_are_those_of_train_validation_and_test():
    assert Config().fractions == (0.6, 0.2, 0.2)
    assert Config(val_fraction=0.1, test_fraction=0.3).fractions == (0.6, 0.1, 0.3)


def test_texts_and_labels_are_two_columns():
    assert refused(text="note", label="note") == [
        "text and label must be two different columns, both were 'note'."
    ]


@pytest.mark.parametrize("name", ["model", "class_weights"])
def test_a_choice_is_one_of_those_that_are_known(name):
    (message,) = refused(**{name: "nothing of the kind"})
    assert message.startswith(f"{name} must be one of '")
    assert message.endswith(", was 'nothing of the kind'.")


def test_a_mistyped_choice_names_the_nearest():
    assert refused(class_weights="balance") == [
        "class_weights must be one of 'none', 'balanced', was 'balance'. Did you mean 'balanced'?"
    ]
    assert refused(model=["lstm"])[0].startswith(
        "model must be one of 'bag', 'cnn', 'encoder', 'linear', 'lstm', was ['lstm']."
    )


# ---- types


@pytest.mark.parametrize("name", fields_of("int", "float", "int | None"))
@pytest.mark.parametrize("value", [True, False, "1", [1]])
def test_what_is_no_number_is_refused_where_a_number_is_wanted(name, value):
    (message,) = refused(**{name: value})
    assert message.startswith(f"{name} must be of type ")
    assert message.endswith(f", was {value!r}.")


@pytest.mark.parametrize("name", fields_of("float"))
def test_a_whole_number_is_a_fine_float(name):
    value = {"lr": 1, "penalty": 1}.get(name, 0)
    bound = {"val_fraction": "more than 0", "test_fraction": "more than 0"}
    if name in bound:  # There is no whole number between 0 and 1, but it's the value that's wrong.
        assert bound[name] in refused(**{name: value})[0]
    else:
        assert getattr(Config(**{name: value}), name) == value


@pytest.mark.parametrize("name", fields_of("int", "int | None"))
def test_a_float_is_no_whole_number(name):
    wanted = "int or nothing" if name in fields_of("int | None") else "int"
    assert refused(**{name: 2.0}) == [f"{name} must be of type {wanted}, was 2.0."]


@pytest.mark.parametrize("name", fields_of("bool"))
@pytest.mark.parametrize("value", [1, 0, "yes", None])
def test_only_true_and_false_are_truth_values(name, value):
    assert refused(**{name: value}) == [f"{name} must be of type bool, was {value!r}."]


@pytest.mark.parametrize("name", fields_of("str", "str | None"))
@pytest.mark.parametrize("value", [3, True, ["text"]])
def test_a_name_is_a_string(name, value):
    wanted = "str or nothing" if name in fields_of("str | None") else "str"
    assert refused(**{name: value}) == [f"{name} must be of type {wanted}, was {value!r}."]


@pytest.mark.parametrize("name", fields_of("str", "int", "float", "bool"))
def test_what_must_be_there_cannot_be_left_empty(name):
    assert refused(**{name: None})[0].startswith(f"{name} must be of type ")


@pytest.mark.parametrize("value", [["0"], {"0": 1}, {0: "good"}, "0=good", None])
def test_label_names_map_strings_to_strings(value):
    assert refused(label_names=value) == [
        f"label_names must map label values to names, was {value!r}."
    ]


# ---- all problems at once


def test_all_problems_are_told_together_whatever_their_kind():
    problems = refused(
        text="a", label="a", epochs=0, lr=99, seed=True, dropout="much", model="lstn",
        group_column="g", time_column="t", val_fraction=0.6, test_fraction=0.6,
    )  # fmt: skip
    assert [line.split()[0] for line in problems] == [
        "seed", "model", "dropout", "epochs", "lr", "val_fraction", "text", "only",
    ]  # fmt: skip


def test_a_value_of_the_wrong_type_is_told_once():
    assert refused(val_fraction="half") == ["val_fraction must be of type float, was 'half'."]


@pytest.mark.parametrize(
    "names",
    [
        ("split_column", "group_column"),
        ("split_column", "time_column"),
        ("group_column", "time_column"),
        ("split_column", "group_column", "time_column"),
    ],
)
def test_there_is_one_way_to_split(names):
    options = [f"--{name.replace('_', '-')} {name[0]}" for name in names]
    assert refused(**{name: name[0] for name in names}) == [
        f"only one way to split can be chosen, found {' and '.join(options)}."
    ]


@pytest.mark.parametrize("name", ["split_column", "group_column", "time_column"])
def test_each_way_to_split_can_be_chosen_alone(name):
    assert getattr(Config(**{name: "c"}), name) == "c"


# ---- mappings, JSON and TOML


def test_an_unknown_setting_names_the_nearest_and_does_not_hide_other_problems():
    with pytest.raises(SettingsError) as error:
        Config.from_mapping({"epoch": 3, "zzz": 1, "lr": 0, "seed": "x"}, origin="my.toml")
    assert str(error.value).splitlines() == [
        "my.toml has no setting 'epoch'. Did you mean 'epochs'?",
        "my.toml has no setting 'zzz'.",
        "seed must be of type int, was 'x'.",
        "lr must be more than 0 and at most 10, was 0.",
    ]


def test_the_other_values_of_these_tests_differ_from_every_default():
    changed = Config(**OTHER_VALUES).to_json()
    assert {name for name, value in Config().to_json().items() if changed[name] == value} == {
        "group_column", "time_column", "review_rate", "multi_label",
        "encoder", "fine_tune", "preset",
    }  # fmt: skip


@pytest.mark.parametrize("values", [{}, OTHER_VALUES, {"time_column": "when"}])
def test_settings_come_back_from_json_as_they_were(values):
    config = Config(**values)
    assert Config.from_mapping(json.loads(json.dumps(config.to_json()))) == config


def test_the_json_values_are_copies():
    config = Config(label_names={"0": "good"})
    config.to_json()["label_names"]["0"] = "changed"
    config.to_json()["cost"]["false-0"] = 2
    assert config.label_names == {"0": "good"}
    assert config.cost == {}


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().epochs = 3


def test_a_toml_file_holds_settings_under_their_own_names(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text('epochs = 3\nlr = 1\ntext = "né"\n[label_names]\n0 = "good"\n', "utf-8")
    values = Config.read_toml(path)
    assert values == {"epochs": 3, "lr": 1, "text": "né", "label_names": {"0": "good"}}
    assert Config.from_mapping(values).epochs == 3


@pytest.mark.parametrize(
    "content", [b"epochs = ", b"epochs = 3\nepochs = 4\n", b'text = "\xff"', b"\x00"]
)
def test_what_is_no_toml_is_told_with_the_files_name(tmp_path, content):
    path = tmp_path / "settings.toml"
    path.write_bytes(content)
    with pytest.raises((tomllib.TOMLDecodeError, UnicodeDecodeError)):
        tomllib.loads(content.decode())
    with pytest.raises(SettingsError) as error:
        Config.read_toml(path)
    assert str(error.value).startswith(f"{path} cannot be read as TOML: ")


def test_a_missing_toml_file_and_a_folder_are_told(tmp_path):
    with pytest.raises(SettingsError) as error:
        Config.read_toml(tmp_path / "none.toml")
    assert str(error.value) == (
        f"there is no file {tmp_path / 'none.toml'}; check the path after --config."
    )
    with pytest.raises(SettingsError, match="cannot be read as TOML"):
        Config.read_toml(tmp_path)


def test_labels_are_smoothed_for_an_encoder_as_it_is_and_one_label():
    smoothed = {model: Config(model=model).smoothing for model in ("bag", "lstm", "encoder")}
    assert smoothed == {"bag": 0.0, "lstm": 0.0, "encoder": 0.05}
    assert Config(model="encoder", fine_tune=True).smoothing == 0.0
    assert Config(model="encoder", multi_label=True).smoothing == 0.0
    assert Config(model="encoder", multi_label=True, label_smoothing=0.1).smoothing == 0.1


def test_a_first_lesson_is_for_fine_tuning_alone():
    with pytest.raises(SettingsError, match="--contrast is for fine-tuning alone"):
        Config(model="encoder", contrast=True)
    with pytest.raises(SettingsError, match="--contrast is chosen by the preset"):
        Config.from_mapping({"preset": "best", "contrast": True})
    assert Config(model="encoder", fine_tune=True, contrast=True).contrast
