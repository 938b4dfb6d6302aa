"""Where the work on a table is done: in this process, or on a Spark cluster.

`prepared` is the small protocol between a training run and its engine. The split, the vocabulary
and the predictions are the same whichever engine made them.
"""
