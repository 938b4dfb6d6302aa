"""The exported program reads and decides as the Predictor does, wherever it runs."""

import importlib.util
import itertools
import json
import subprocess
import sys
import unicodedata
from copy import copy
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from generated_texts import generated_strings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textgauge.bundle.decision import DecisionRule
from textgauge.bundle.export import character_classes, export_bundle
from textgauge.bundle.predictor import Predictor
from textgauge.text.notation import Notation
from textgauge.text.numbers import NumberScale
from textgauge.text.tokens import value_of

NOTES = [
    "",
    " \t ",
    "poor condition iron component manufactured in 2010",
    "STEEL Component manufactured in 1979, good condition",
    "don't don\u2019t \u2019 ' a'b''c",
    "1,250.5 n.m 12,34 1,234,567 0,000 1.5.2 3, 007 1970 2019 1e5",
    "\uff19" * 3 + "\uff0c" + "\uff10" * 3,
    "7" * 400,
    "1," + "000," * 200 + "000",
    "مكوّن فولاذي ٢٠٢٠ 鋼部品 1999年 сталь ΟΔΟΣ ὈΔΥΣΣΕΎΣ İSTANBUL ﬁne ½ ² Ⅷ",
    "👩‍🔧🔧 ok\u200d\ufe0f 🇩🇪",
    "a\x1cb\x1fc\x00d\x85e\u2028f\x0bg",
    "<unk> <pad> <num>",
    "steel " * 10_000,
    "steel " * 250 + "1999 iron",
]
"""Scripts, signs, apostrophes, numbers with commas, nothing at all, ten thousand words."""

RULES = {
    "costs and review": DecisionRule(weights=(0.3, 0.7), review_below=0.4),
    "review": DecisionRule(review_below=0.55),
    "one costs nothing": DecisionRule(weights=(0.0, 1.0)),
}


def load_program(folder):
    """Import predict.py from an exported folder."""
    spec = importlib.util.spec_from_file_location("exported_program", folder / "predict.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def exported(deciding, tmp_path_factory):
    """The deciding model's folder, exported; and its Predictor."""
    folder = tmp_path_factory.mktemp("exported") / "model"
    predictor = Predictor.load(deciding.folder, cores=1)
    export_bundle(deciding.folder, predictor, folder)
    return folder, predictor


def run_program(folder, *texts, stdin=None):
    """Run predict.py by Python -I, without textgauge, polars, torch and whatever else there is."""
    blocked = ("textgauge", "polars", "torch", "pandas", "sklearn", "mlflow", "onnx", "scipy")
    script = (
        f"import runpy, sys; sys.modules.update(dict.fromkeys({blocked!r}));"
        "path = sys.argv.pop(1); sys.argv[0] = path; runpy.run_path(path, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-W", "error", "-c", script, folder / "predict.py", *texts],
        input=stdin,
        capture_output=True,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.decode("ascii").splitlines()]


def decisions_of(rule, probabilities, classes):
    """What the rule makes of probabilities."""
    decided = rule.decide(probabilities)
    index = np.where(decided.review, len(classes), decided.label)
    return [(*classes, "review")[at] for at in index]


def assert_same(found, texts, predictor):
    """Labels, probabilities and decisions are those of the Predictor."""
    expected = predictor.predict(texts)
    assert [each["text"] for each in found] == list(texts)
    assert [each["predicted_label"] for each in found] == expected.labels
    assert [each["decision"] for each in found] == expected.decision
    probability = [each["probability"] for each in found]
    np.testing.assert_allclose(probability, expected.probability, rtol=0, atol=1e-6)


def test_a_fresh_process_without_our_packages_decides_alike(exported, deciding):
    folder, predictor = exported
    texts = [*NOTES, *itertools.islice(generated_strings(), 300), *deciding.corpus.test.texts]
    texts = [text.replace("\n", " ").replace("\r", " ") for text in texts]  # A text a line.
    lines = "".join(f"{text}\n" for text in texts).encode()
    found = run_program(folder, stdin=lines)
    assert_same(found, texts, predictor)
    decisions = {each["decision"] for each in found}
    assert decisions == {"0", "1", "review"}, "the test would not see a wrong rule"


def test_texts_may_be_arguments(exported):
    folder, predictor = exported
    texts = ["iron component, 1999", "", "鋼"]
    assert_same(run_program(folder, *texts), texts, predictor)


def test_bytes_that_are_no_utf8_are_read_all_the_same(exported):
    folder, _ = exported
    (found,) = run_program(folder, stdin=b"st\xffeel")
    assert found["text"] == "st\ufffdeel"
    assert run_program(folder, stdin=b"") == []


CHARACTERS = st.one_of(
    st.characters(exclude_categories=["Cs", "Cn"]),
    st.sampled_from(
        "aA1 ,.'\u2019\u03a3\u03c3İ\uff21\uff11\uff0c\u0301\u200d\x1c\x85\u017fﬁ鋼🔧<>"
    ),
)


@pytest.fixture(scope="module")
def both(exported):
    """The exported model in this process, and the Predictor."""
    folder, predictor = exported
    return load_program(folder).Model(folder), predictor


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(texts=st.lists(st.text(CHARACTERS, max_size=40), min_size=1, max_size=8))
def test_any_text_is_read_alike(both, texts):
    model, predictor = both
    expected = predictor.predict(texts)
    found = model.probabilities(texts)
    np.testing.assert_allclose(found, expected.probabilities, rtol=0, atol=1e-6)
    assert model.decide(found) == decisions_of(predictor.rule, found, predictor.classes)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_decisions_are_those_of_the_rule(both, rule):
    """Also where a probability lies on the threshold, and where both cost nothing."""
    model, predictor = copy(both[0]), both[1]
    model.weights = None if rule.weights is None else list(rule.weights)
    model.review_below = rule.review_below
    p = np.array([0, 0.1, 0.3, 0.45, 0.5, 0.55, 0.7, 0.9, 1], dtype=np.float32)
    probabilities = np.stack([1 - p, p], axis=1)
    assert model.decide(probabilities) == decisions_of(rule, probabilities, predictor.classes)


def test_many_labels_are_decided_alike(both):
    model = copy(both[0])
    model.classes, model.weights, model.review_below = list("abc"), [5.0, 1.0, 0.0], 0.9
    chance = np.random.default_rng(0).dirichlet([1, 1, 1], 200).astype(np.float32)
    rule = DecisionRule(weights=(5.0, 1.0, 0.0), review_below=0.9)
    assert model.decide(chance) == decisions_of(rule, chance, "abc")


def test_words_may_be_numbers(exported, tmp_path, trained):
    """A model that reads numbers as words looks them up."""
    folder, predictor = exported
    words = (*predictor.encoder.vocabulary.words[:-1], "1,999")
    vocabulary = type(predictor.encoder.vocabulary)(words)
    encoder = replace(predictor.encoder, numbers=None, vocabulary=vocabulary)
    other = Predictor(predictor.settings, encoder, predictor._session)
    export_bundle(trained.folder, other, tmp_path / "words")
    model = load_program(folder).Model(tmp_path / "words")
    texts = ["iron 1,999", "iron 2", "1,999"]
    found = model.probabilities(texts)
    np.testing.assert_allclose(found, other.predict(texts).probabilities, rtol=0, atol=1e-6)


def test_a_minus_is_read_with_its_number_where_training_had_such(exported, tmp_path, trained):
    folder, predictor = exported
    encoder = replace(predictor.encoder, numbers=NumberScale([-40.0, -12.5, 20.0, 1990.0]))
    other = Predictor(predictor.settings, encoder, predictor._session)
    export_bundle(trained.folder, other, tmp_path / "signed")
    model = load_program(folder).Model(tmp_path / "signed")
    texts = ["iron -12", "-40", "iron-12", "\u2212" + "1,200.5 (-3)", "12-40", "\u0940-5 \u0661-5"]
    for text in texts:
        read = encoder.encode(pl.Series([text]))
        found = model.read(text)
        assert [number for number, _ in found] == read.ids.tolist()
    found = model.probabilities(texts)
    np.testing.assert_allclose(found, other.predict(texts).probabilities, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "notation",
    [Notation(decimal_comma=True), Notation(False, True, True), Notation(apostrophes=True)],
    ids=["commas", "both", "apostrophes"],
)
def test_numbers_are_read_as_training_wrote_them(exported, tmp_path, trained, notation):
    folder, predictor = exported
    scale = NumberScale([-40.0, 0.35, 20.0, 1990.0], notation)
    other = Predictor(
        predictor.settings, replace(predictor.encoder, numbers=scale), predictor._session
    )
    export_bundle(trained.folder, other, tmp_path / "written")
    model = load_program(folder).Model(tmp_path / "written")
    texts = ["iron 0,35", "1.200,5 0.350 1.2345", "-1.200 -0,5", "1,200.5 12,5", "1'200,5 1'200.5"]
    for text in texts:
        (expected,) = other.encoder.words(pl.Series([text]))
        numbers = [word for word, _ in expected if word[-1].isdigit()]
        digits = [found for _, found in model.read(text) if found is not None]
        assert digits == numbers
        assert [model.value_of(each) for each in digits] == [
            value_of(each, scale.notation) for each in numbers
        ]
    found = model.probabilities(texts)
    np.testing.assert_allclose(found, other.predict(texts).probabilities, rtol=0, atol=1e-6)


# ---- where Python's Unicode and ours part --------------------------------------------------------


def test_python_and_polars_fold_every_character_alike_that_both_know():
    """What Python's Unicode does not know yet is folded by polars alone; nothing else differs."""
    every = pl.Series([chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000])
    for ours, theirs in (
        (every.str.normalize("NFKC"), lambda each: unicodedata.normalize("NFKC", each)),
        (every.str.to_lowercase(), str.lower),
    ):
        other = [c for c, found in zip(every, ours, strict=True) if theirs(c) != found]
        assert {unicodedata.category(each) for each in other} <= {"Cn"}


def test_the_character_classes_are_those_of_the_reading():
    import re

    letters, spaces, joined = (re.compile(f"[{each}]") for each in character_classes())
    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    column = pl.Series(every)
    for pattern, ours in ((letters, r"[\p{L}\p{M}]"), (spaces, r"\s"), (joined, r"\w")):
        expected = column.str.contains(ours).to_list()
        assert [pattern.match(each) is not None for each in every] == expected
