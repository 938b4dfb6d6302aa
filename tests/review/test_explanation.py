"""Which words moved a decision: on a planted rule, and by what happens when they go."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from textgauge.bundle import files
from textgauge.bundle.card import model_card
from textgauge.bundle.decision import DecisionRule
from textgauge.bundle.save import save_bundle
from textgauge.config import Config
from textgauge.data.component_notes import FIRST_COMPLIANT_YEAR, make_component_notes
from textgauge.data.corpus import build_corpus
from textgauge.errors import BundleError
from textgauge.review import explanation as module
from textgauge.review.effort import FINEST
from textgauge.review.explanation import Explainer
from textgauge.review.overall import number_curve, words_overall
from textgauge.text.fills import learn_fills
from textgauge.text.learn import learn_encoder
from textgauge.training.fit import fit

BREAKING = {"fair", "poor", "plastic", "iron"}


def breaks_the_rule(word):
    return word in BREAKING or (word.isdigit() and int(word) < FIRST_COMPLIANT_YEAR)


@pytest.fixture(scope="module")
def notes():
    return make_component_notes(60_000).unique("text", maintain_order=True)


@pytest.fixture(scope="module")
def explainer(notes, trained, tmp_path_factory):
    """Of a model that has learned the regulation."""
    config = Config(hidden_size=24, embedding_size=16, lr=0.01, epochs=12, patience=12)
    corpus = build_corpus(notes, seed=0, fractions=config.fractions)
    fitted = fit(corpus, learn_encoder(corpus.train.texts, config), config)
    settings = {
        **trained.settings, "architecture": fitted.architecture, "config": config.to_json(),
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("explained") / "model"
    fills = learn_fills(corpus.train.texts, fitted.encoder)
    card = model_card(settings)
    save_bundle(folder, fitted.model, fitted.encoder, fills, settings=settings, card=card)
    return Explainer.load(folder, cores=1)


@pytest.fixture(scope="module")
def explained(explainer, notes):
    """Of all notes that break the rule, those that the model calls so."""
    found = explainer.explain(notes.filter(pl.col("label") == "1")["text"].sample(600, seed=0))
    right = [each for each in found if each.decision == "1"]
    assert len(right) > 590
    return right


# ---- the planted rule ----------------------------------------------------------------------------


def test_the_words_that_break_the_rule_rank_first(explained):
    first = [breaks_the_rule(e.words[int(e.contributions.argmax())]) for e in explained]
    assert np.mean(first) >= 0.99


def test_all_words_that_break_the_rule_rank_above_all_that_do_not(explained):
    above = []
    for each in explained:
        breaking = np.array([breaks_the_rule(word) for word in each.words])
        shares = each.contributions
        above.append(shares[breaking].min() > shares[~breaking].max())
    assert np.mean(above) >= 0.99


def test_words_that_cannot_be_others_have_no_share(explained):
    for each in explained:
        for word, share in zip(each.words, each.contributions, strict=True):
            assert word not in ("condition", "manufactured") or share == 0


def test_the_shares_add_up_to_what_tells_the_text_from_the_others(explained):
    for each in explained:
        total = each.contributions.sum()
        assert total == pytest.approx(each.probability - each.reference, abs=1e-9)
        assert 0.5 < each.probability <= 1


def test_removing_the_words_ranked_highest_changes_more_than_removing_others(explainer, explained):
    """The area under the probability as 1, 2, 3 words go: deleted, as nobody here replaces them."""
    random = np.random.default_rng(0)
    drops = {"ranked": [], "random": []}
    chosen = explained[:300]
    for name, order_of in (
        ("ranked", lambda e: np.argsort(-e.contributions)),
        ("random", lambda e: random.permutation(len(e.words))),
    ):
        shortened = []
        for each in chosen:
            order = order_of(each)
            for gone in (1, 2, 3):
                left = np.sort(order[gone:])
                shortened.append(" ".join(each.words[at] for at in left))
        found = explainer.predictor.predict(shortened).probabilities[:, 1].reshape(-1, 3)
        full = np.array([each.probability for each in chosen])[:, None]
        drops[name] = (full - found).mean()
    assert drops["ranked"] > 2 * max(drops["random"], 0.01)


# ---- the same every time -------------------------------------------------------------------------


def test_a_text_is_explained_alike_alone_among_others_and_again(explainer, explained):
    texts = [each.text for each in explained[:40]]
    long = "steel component " * 30
    together = explainer.explain([long, *texts, texts[0]])
    assert together[1].to_json() == together[-1].to_json()
    for before, now in zip(explained, together[1:41], strict=False):
        assert np.allclose(before.contributions, now.contributions, atol=1e-5)
    alone = explainer.explain([texts[3]])[0]
    assert np.allclose(alone.contributions, explained[3].contributions, atol=1e-5)


def test_texts_that_are_read_alike_are_explained_alike_and_come_back_as_given(explainer):
    one, other = explainer.explain(["Iron  PART 1980", "iron part 1980"])
    assert (one.text, other.text) == ("Iron  PART 1980", "iron part 1980")
    assert one.words == other.words == ("iron", "part", "1980")
    assert np.array_equal(one.contributions, other.contributions)


def test_the_chunks_change_nothing(explainer, explained, monkeypatch):
    texts = [each.text for each in explained[:20]]
    monkeypatch.setattr(module, "_CELLS", 10_000)
    few = explainer.explain(texts)
    for before, now in zip(explained, few, strict=False):
        assert np.allclose(before.contributions, now.contributions, atol=1e-5)


# ---- odd texts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "   ", None, "zebra", "!!!", "鉄 部品", "plastic " * 400])
def test_odd_texts_are_explained(explainer, text):
    (found,) = explainer.explain([text])
    assert len(found.words) == len(found.contributions)
    assert np.isfinite(found.contributions).all()
    assert found.text == (text or "")


def test_no_texts_have_no_explanations(explainer):
    assert explainer.explain([]) == []


def test_long_texts_exchange_neighbours_together(explainer):
    text = "plastic component manufactured in 1980 in poor condition"
    (found,) = explainer.explain([text], replace(FINEST, steps=2))
    total = found.contributions.sum()
    assert total == pytest.approx(found.probability - found.reference, abs=1e-9)


def test_a_single_string_is_refused(explainer):
    with pytest.raises(ValueError, match=r"pass \[text\]"):
        explainer.explain("iron")


def test_the_json_is_that_of_the_contract(explainer):
    (found,) = explainer.explain(["iron part"])
    values = json.loads(json.dumps(found.to_json()))
    assert list(values) == [
        "text", "decision", "label", "probability", "reference", "words",
    ]  # fmt: skip
    assert [each["word"] for each in values["words"]] == ["iron", "part"]
    assert values["words"][0]["contribution"] == found.contributions[0]


# ---- a rule of decision --------------------------------------------------------------------------


def test_the_label_that_is_decided_is_explained(notes, explainer, monkeypatch):
    texts = notes["text"].head(40)
    rule = DecisionRule(weights=(1.0, 0.0))  # Label 1 costs nothing.
    monkeypatch.setattr(explainer.predictor, "rule", rule)
    second = explainer.predictor.predict(texts).probabilities[:, 1]
    for found, probability in zip(explainer.explain(texts), second, strict=True):
        assert found.decision == found.label == "1"
        assert found.probability == pytest.approx(probability, abs=1e-6)


def test_a_person_decides_in_explanations_as_in_predictions(notes, explainer, monkeypatch):
    texts = notes["text"].head(200)
    plain = explainer.explain(texts)
    below = float(np.median([each.probability for each in plain]))
    monkeypatch.setattr(explainer.predictor, "rule", DecisionRule(review_below=below))
    found = explainer.explain(texts)
    decisions = [each.decision for each in found]
    assert decisions == explainer.predictor.predict(texts).decision
    assert "review" in decisions
    assert [each.label for each in found] == [each.label for each in plain]
    assert [each.probability for each in found] == [each.probability for each in plain]


# ---- bad bundles ---------------------------------------------------------------------------------


def copy_of(folder, target):
    target.mkdir()
    for path in folder.iterdir():
        if path.is_file():
            (target / path.name).write_bytes(path.read_bytes())
    (target / files.DIGESTS).unlink()
    return target


def test_a_model_without_what_explains_it_says_so(trained, tmp_path):
    folder = copy_of(trained.folder, tmp_path / "old")
    (folder / files.FILLS).unlink()
    with pytest.raises(BundleError, match=r"cannot explain its decisions: it has no fills\.json"):
        Explainer.load(folder)


def test_fills_of_another_model_are_told(trained, tmp_path):
    folder = copy_of(trained.folder, tmp_path / "mixed")
    values = json.loads((folder / files.FILLS).read_text())
    (folder / files.FILLS).write_text(json.dumps({**values, "vocabulary": 10_000}))
    with pytest.raises(BundleError, match=r"files of different models: fills\.json knows 10000 "):
        Explainer.load(folder)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"between": 3}', "\x00"])
def test_damaged_fills_are_told(trained, tmp_path, content):
    folder = copy_of(trained.folder, tmp_path / "damaged")
    (folder / files.FILLS).write_text(content)
    with pytest.raises(BundleError, match=r"fills\.json is damaged"):
        Explainer.load(folder)


# ---- overall -------------------------------------------------------------------------------------


def test_the_curve_shows_the_step_of_the_regulation(explainer, notes):
    curve = number_curve(explainer.predictor, notes["text"].sample(300, seed=1))
    before, after, fall = curve.step(1)
    assert (before, after) == (FIRST_COMPLIANT_YEAR - 1, FIRST_COMPLIANT_YEAR)
    assert fall < -0.05
    assert curve.probabilities[curve.values < before, 1].min() > 0.95


def test_the_words_that_matter_overall_are_those_of_the_regulation(explained):
    assert {each.word for each in words_overall(explained)["1"][:5]} == {*BREAKING, "<number>"}
