"""Predict texts: `python predict.py "a text" "another"`, or a text a line on standard input."""

import itertools
import json
import os
import re
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

Floats = npt.NDArray[np.float32]

UNKNOWN, NUMBER, FIRST = 1, 2, 3
"""Ids of what is not known, of a number, and of the first word or piece."""

GRAM = 4
"""Characters of a piece of a word, its two marked ends included."""

PLACE = "\ue000"
"""Stands in the place of a number while a text is cut into pieces."""


class Pieces:
    """The tokenizer of an encoder; the one part that needs the package tokenizers."""

    def __init__(self, read: dict[str, Any]) -> None:
        from tokenizers import AddedToken, Tokenizer

        self.tokenizer = Tokenizer.from_str(json.dumps(read["tokenizer"]))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.tokenizer.encode_special_tokens = True
        self.tokenizer.add_tokens([AddedToken(PLACE, normalized=False, special=False, lstrip=True)])
        self.special = {self.tokenizer.token_to_id(PLACE): NUMBER, read["unknown_piece"]: UNKNOWN}

    def ids(self, text: str) -> list[int]:
        """The id of each piece."""
        found = self.tokenizer.encode(text, add_special_tokens=False).ids
        return [self.special.get(piece, FIRST + piece) for piece in found]


class Model:
    """The network and how it reads a text, from the files beside this one."""

    def __init__(self, folder: Path = Path(__file__).parent) -> None:
        read = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        self.classes, self.max_tokens = read["classes"], read["max_tokens"]
        self.weights, self.review_below = read["decision_weights"], read["review_below"]
        # A threshold a label, where a text has any number of labels; None: it has one.
        self.thresholds, self.separator = read.get("thresholds"), read.get("separator")
        self.id_of = {word: number for number, word in enumerate(read.get("words", ()))}
        grams = read.get("pieces", ())
        self.gram_of = {gram: len(self.id_of) + at for at, gram in enumerate(grams)}
        self.edges = read["number_edges"]  # None: numbers are words like others.
        # How numbers are written: `thousands` stands between them where `grouped` is found.
        self.grouped, self.thousands, self.decimal = (
            read[name] for name in ("grouped", "thousands", "decimal")
        )
        self.number, self.spaces = re.compile(read["number"]), re.compile(f"[{read['spaces']}]+")
        # An encoder has a tokenizer of its own.
        self.pieces = Pieces(read) if "tokenizer" in read else None
        letter, space = read["letters"], read["spaces"]
        word, sign = f"[{letter}]+(?:['\u2019][{letter}]+)*", f"[^{space}{letter}0-9]"
        self.token = re.compile(f"{read['number']}|{word}|{sign}")
        network = (folder / "model.onnx").read_bytes()
        self.session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])

    def probabilities(self, texts: list[str]) -> Floats:
        """Probability of each label. Shape: (texts, labels)."""
        folded = [unicodedata.normalize("NFKC", text).lower() for text in texts]
        folded = [unicodedata.normalize("NFKC", text) for text in folded]
        tokens = [self.read(text) or [(UNKNOWN, None)] for text in folded]
        lengths = np.array([len(each) for each in tokens], dtype=np.int32)
        ids = np.zeros((len(texts), lengths.max()), dtype=np.int64)  # 0 stands behind a text's end.
        positions = np.zeros(ids.shape, dtype=np.float32)
        for row, each in enumerate(tokens):
            for column, (number, digits) in enumerate(each):
                ids[row, column] = number
                if digits is not None:
                    value = self.value_of(digits)
                    positions[row, column] = np.interp(value, self.edges, range(len(self.edges)))
        feed = {"ids": ids, "positions": positions, "lengths": lengths}
        asked = {each.name: feed[each.name] for each in self.session.get_inputs()}
        (logits,) = self.session.run(["logits"], asked)
        if self.thresholds is not None:  # A sigmoid each.
            of_each: Floats = (0.5 + 0.5 * np.tanh(0.5 * logits.astype(np.float64))).astype("f4")
            return of_each
        if logits.shape[1] == 1:  # One number z for two labels stands for (0, z).
            logits = np.hstack([np.zeros_like(logits), logits])
        powers = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
        found: Floats = (powers / powers.sum(1, keepdims=True)).astype(np.float32)
        return found

    def value_of(self, number: str) -> float:
        """The value of a number, as it is written."""
        plain = number.replace("'", "").replace("\u2019", "")
        if re.search(self.grouped, plain):
            plain = plain.replace(self.thousands, "")
        return float(plain.replace(self.decimal, ".").replace("\u2212", "-"))

    def read(self, text: str) -> list[tuple[int, str | None]]:
        """The id of each token, and of a number its digits."""
        if self.pieces is None:
            tokens = self.token.findall(text)[: self.max_tokens]
            return [each for token in tokens for each in self.read_word(token)]
        text = self.spaces.sub(" ", text).strip(" ").replace(PLACE, " ")
        if self.edges is None:
            return [(number, None) for number in self.pieces.ids(text)[: self.max_tokens]]
        digits = iter(self.number.findall(text))
        found = self.pieces.ids(self.number.sub(PLACE, text))[: self.max_tokens]
        return [(number, next(digits) if number == NUMBER else None) for number in found]

    def read_word(self, token: str) -> list[tuple[int, str | None]]:
        """A word that is not known is read as those of its pieces that are."""
        if self.edges is not None and re.match("[-\u2212]?[0-9]", token):
            return [(NUMBER, token)]
        if token in self.id_of:
            return [(self.id_of[token], None)]
        marked = f"<{token}>"
        grams = [marked[at : at + GRAM] for at in range(len(marked) - GRAM + 1)]
        return [(self.gram_of[each], None) for each in grams if each in self.gram_of] or [
            (UNKNOWN, None)
        ]

    def predict(self, found: Floats) -> list[tuple[str, float]]:
        """The most probable label, with its probability.

        Or all labels that reach their thresholds, joined, with the probability that the least
        probable of these decisions is right.
        """
        if self.thresholds is None:
            return [(self.classes[p.argmax()], float(p.max())) for p in found]
        called = found >= np.array(self.thresholds, dtype=np.float32)
        right = np.where(called, found, 1 - found).min(1)
        return [(self._join(row), float(p)) for row, p in zip(called, right, strict=True)]

    def _join(self, called: npt.NDArray[np.bool_]) -> str:
        labels = (label for label, yes in zip(self.classes, called, strict=True) if yes)
        return str(self.separator).join(labels)

    def decide(self, found: Floats) -> list[str]:
        """The label whose expected cost is least, or `review` where that is not sure enough.

        Of any number of labels those that reach their thresholds, joined.
        """
        if self.thresholds is not None:
            t, p = np.array(self.thresholds), found.astype(np.float64)
            no, yes = (1 - t) * p, t * (1 - p)
            least = np.where(found >= t.astype(np.float32), yes, no)
            certain = (1 - least / (no + yes)).min(1)
            below = -1 if self.review_below is None else self.review_below
            labels = [label for label, _ in self.predict(found)]
            return [
                "review" if one < below else label
                for one, label in zip(certain, labels, strict=True)
            ]
        rows = np.arange(len(found))
        if self.weights is None:  # All mistakes cost the same: the most probable label.
            label, sure = found.argmax(1), found.max(1).astype(np.float64)
        else:
            p = found.astype(np.float64)
            cost = (p[:, ::-1] if p.shape[1] == 2 else 1 - p) * self.weights
            label, total = cost.argmin(1), cost.sum(1)
            share = np.where(total > 0, cost[rows, label] / np.where(total > 0, total, 1), 0)
            sure = 1 - share * (p.shape[1] - 1)
        below = -1 if self.review_below is None else self.review_below
        return ["review" if sure[at] < below else self.classes[label[at]] for at in rows]


if __name__ == "__main__":
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    given = [os.fsencode(text).decode("utf-8", "replace") for text in sys.argv[1:]]
    model, lines = Model(), iter(given or sys.stdin)
    while texts := [line.rstrip("\r\n") for line in itertools.islice(lines, 256)]:
        found = model.probabilities(texts)
        for text, best, decision in zip(
            texts, model.predict(found), model.decide(found), strict=True
        ):
            label = {"predicted_label": best[0], "probability": best[1]}
            print(json.dumps({"text": text, **label, "decision": decision}), flush=True)
