"""One text, step by step: `python example.py "a text"`. `predict.py` decides by costs, too."""

import json
import re
import sys
import unicodedata
from pathlib import Path

import numpy as np
import onnxruntime

if len(sys.argv) != 2:
    sys.exit('Say which text: python example.py "a text"')
folder = Path(__file__).parent
model = json.loads((folder / "model.json").read_text(encoding="utf-8"))
network = onnxruntime.InferenceSession((folder / "model.onnx").read_bytes())

folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", sys.argv[1]).lower())
letter, space = model["letters"], model["spaces"]
word, sign = f"[{letter}]+(?:['\u2019][{letter}]+)*", f"[^{space}{letter}0-9]"
tokens = re.findall(f"{model['number']}|{word}|{sign}", folded)[: model["max_tokens"]] or ["<unk>"]

id_of, edges = {word: number for number, word in enumerate(model["words"])}, model["number_edges"]
plain = [re.sub("['\u2019]", "", token).replace("\u2212", "-") for token in tokens]
plain = [t.replace(model["thousands"], "") if re.search(model["grouped"], t) else t for t in plain]
plain = [token.replace(model["decimal"], ".") for token in plain]
numbers = [float(t) if edges and "0" <= t[-1:] <= "9" else None for t in plain]
pairs = list(zip(tokens, numbers, strict=True))
ids = [id_of.get(token if n is None else "<num>", id_of["<unk>"]) for token, n in pairs]
positions = [0.0 if n is None else np.interp(n, edges, range(len(edges))) for _, n in pairs]

arrays = {"ids": np.array([ids], np.int64), "positions": np.array([positions], np.float32)}
arrays["lengths"] = np.array([len(ids)], np.int32)
asked = {each.name: arrays[each.name] for each in network.get_inputs()}
logits = network.run(["logits"], asked)[0][0].astype(np.float64)
logits = np.append(0.0, logits) if len(logits) == 1 else logits  # One number: of the second label.
powers = np.exp(logits - logits.max())
print(model["classes"][powers.argmax()], powers.max() / powers.sum())
