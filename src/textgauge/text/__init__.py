"""Text to numbers: normal form, tokens, vocabulary, magnitudes, word vectors.

Everything here needs polars and numpy only, so that a saved model can carry these files
along and predict without torch and without textgauge.
"""
