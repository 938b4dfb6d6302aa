"""What a comparison shows of words and texts; its figures are tested where they come from."""

from textgauge.review.differences import Drift, GoneWord, LabelShare, NewWord
from textgauge.terminal.drift import drift_text


def test_words_and_labels_that_a_terminal_would_obey_are_quoted():
    odd = "\x1b[2J"
    drift = Drift(
        reference="old.csv",
        rows=10,
        texts=9,
        reference_rows=8,
        reference_texts=7,
        unknown_word_share=0.5,
        normal_unknown_word_share=None,
        new_words=(NewWord(odd, 3, 2, f"an {odd} part"), NewWord("x" * 50, 3, 2, "y" * 90)),
        gone_words=(GoneWord(odd, 0.5),),
        number_range=None,
        outside_number_range_share=None,
        beyond=(),
        differences={},
        labels=(LabelShare(odd, 3, 0.3, 0.2),),
        new_labels={},
        warnings=(),
    )
    shown = drift_text(drift)
    assert shown.replace("\n", "").isprintable()
    assert shown.count(repr(odd)) == 3
    assert f"{'x' * 39}…" in shown
    assert f"{'y' * 59}…" in shown
