"""The trained model judged: the one time that the test texts are looked at."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from .config import Config
from .data.corpus import Corpus
from .review import baselines
from .review.baselines import Baselines
from .review.confusion import MANY_LABELS
from .review.contenders import Review, judge
from .review.deciding import Asked, choose_rule
from .review.explanation import Explainer
from .review.findings import Findings, find
from .review.label_issues import LabelIssues, distinct, label_issues
from .review.rule_summary import RuleSummary, summarise, texts_to_imitate
from .review.set_findings import SetFindings, find_in_sets
from .review.set_review import SetReview, judge_sets
from .review.set_rule import choose_set_rule
from .text.reader import notation_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import polars as pl

    from .data.corpus import LabelledTexts
    from .training.fit import Fitted


def start_baselines(stack: ExitStack, corpus: Corpus, *, refit: bool = False) -> Baselines:
    """Begin to fit the baselines; their process lasts as long as `stack` at most.

    `refit`: they learn from the validation texts, too, as the model does.
    """
    simple = baselines.start(
        corpus.train, corpus.test.texts, len(corpus.classes), val=corpus.val, refit=refit
    )
    stack.callback(simple.stop)
    return simple


def review_model(
    fitted: Fitted, config: Config, corpus: Corpus, simple: Baselines, asked: Asked
) -> tuple[Review, RuleSummary] | tuple[SetReview, None]:
    """Judge the model beside the baselines, choose how it decides, and imitate it by rules.

    Rules tell one label from all others: where a text has any number of them, there are none.

    Args:
        fitted: the model.
        config: the settings.
        corpus: all parts; the rule of decision is chosen on validation.
        simple: the baselines, which may still be at work.
        asked: what was asked of the decisions.

    """
    on_val = probabilities_on_val(fitted, corpus)
    on_test = probabilities_of(fitted, corpus.test)
    fitted_simple = simple.wait()
    notation = notation_of(fitted.encoder)
    if corpus.sets is not None:
        return judge_sets(
            config.model.upper(),
            on_test,
            fitted_simple,
            corpus.val,
            corpus.test,
            corpus.classes,
            choose_set_rule(asked, corpus.val, on_val),
            _column(config, corpus),
            notation,
        ), None
    # Found in the process of the baselines, while this one goes on.
    simple.doubt_labels((corpus.val, corpus.test), (on_val, on_test))
    review = judge(
        config.model.upper(),
        on_test,
        fitted_simple,
        corpus.test,
        corpus.classes,
        choose_rule(asked, corpus.val, on_val),
        _column(config, corpus),
        notation,
    )
    some, rule = texts_to_imitate(corpus.train), review.decision.rule
    rules = summarise(
        some,
        rule.decide(probabilities_of(fitted, some)).label,
        corpus.test,
        rule.decide(on_test).label,
        corpus.classes,
        config.limits.max_tokens,
        notation=notation,
    )
    return review, rules


def doubted_labels(corpus: Corpus, simple: Baselines) -> LabelIssues | None:
    """The labels in doubt, of all parts; waits for the baselines' process, which looks for them.

    None where a text has any number of labels, which confident learning of one label a text does
    not fit.
    """
    if corpus.sets is not None:
        return None
    held = (corpus.train, corpus.val, corpus.test)
    parts = [distinct(part)[0] for part in held]
    not_held = sum(size.texts for size in corpus.sizes.values()) - sum(map(len, held))
    all_texts = sum(map(len, parts)) + not_held
    return label_issues(parts, simple.doubts(), corpus.classes, all_texts)


def look_at_texts(
    bundle: Path, config: Config, corpus: Corpus, fitted: Fitted, review: Review | SetReview
) -> Findings | SetFindings:
    """What single test texts show; their decisions are explained by the model as it was saved."""
    look = find if corpus.sets is None else find_in_sets
    return look(
        Explainer.load(bundle),
        corpus.test,
        review.model.probabilities,
        trained_texts=corpus.sizes["train"].texts * len(fitted.trained.history),
        seed=config.seed,
        # What is read is told of every label.
        effort=fitted.model.effort * max(1, len(corpus.classes) // MANY_LABELS),
    )


def _column(config: Config, corpus: Corpus) -> tuple[str, pl.DataFrame] | None:
    """The column that the test part is looked into by, if one was named."""
    if config.slice_column is None or corpus.test_slices is None:
        return None
    return config.slice_column, corpus.test_slices


def probabilities_on_val(fitted: Fitted, corpus: Corpus) -> npt.NDArray[np.float32]:
    """What the model made of the validation texts before it learned from them, if it did."""
    from .bundle.predictor import probabilities_by

    return probabilities_by(fitted.calibrated.logits, has_sets=corpus.sets is not None)


def probabilities_of(fitted: Fitted, texts: LabelledTexts) -> npt.NDArray[np.float32]:
    """What a trained model, still in torch, makes of texts. Shape: (texts, classes)."""
    from .bundle.predictor import probabilities_by
    from .training.loop import predict_logits

    logits = predict_logits(fitted.model, fitted.encode(texts))
    return probabilities_by(logits, has_sets=texts.sets is not None)
