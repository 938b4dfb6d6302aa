# %% [markdown]
# # Your own table
#
# The walk of [Deep Learning with Text](deep_learning_with_text.ipynb) on another table, in six steps. `meldungen.csv` is what a spreadsheet saves: semicolons,
# columns with other names, German texts, three labels. Each row is a report from a plant, and the department that took care of it.
# Put your own file and its columns in its place.

# %%
import os
from pathlib import Path

import polars as pl

import textgauge

pl.Config.set_fmt_str_lengths(80)

TABLE = Path("meldungen.csv").resolve()
print(*TABLE.read_text(encoding="utf-8").splitlines()[:5], sep="\n")

# %% [markdown]
# ## 1. Name the columns
#
# What happens if they are not named?

# %%
try:
    textgauge.check(TABLE)
except textgauge.TextgaugeError as error:
    print(error)

# %% [markdown]
# The message says what is missing and what there is. Text and label are all that is needed; that the file has semicolons is seen
# from the file.

# %%
COLUMNS = {"text": "Meldung", "label": "Abteilung"}

textgauge.show(textgauge.check(TABLE, **COLUMNS))

# %% [markdown]
# The problems come with their rows. Rows without a text or a label are left out; that the same text stands under two labels is for a person
# to decide.
#
# ## 2. Train
#
# A few hundred rows and three labels: start with the linear model, which is trained in no time and is hard to beat on small tables. `model="lstm"`
# takes the network instead. A small table has a small test part: mind the intervals.

# %%
platform = textgauge.platform()
os.chdir(platform.folder)

result = textgauge.train(
    TABLE,
    **COLUMNS,
    model="linear",
    tracking_uri=platform.tracking_uri,
    experiment="meldungen",
)
textgauge.show(result)

# %% [markdown]
# ## 3. Look at labels in doubt
#
# Labels that other rows contradict, and labels that models doubt which never saw the text. Some are slips, some are hard cases: a person has to look.

# %%
columns = ["text", "label", "suggested_label", "reason", "quality"]
result.label_issues.frame.select(columns).head(8)

# %% [markdown]
# The same list is the run's file `label_issues.csv`. Fill in its column `corrected_label`, and `textgauge check … --fix` puts that into a new table.
#
# ## 4. Predict
#
# New reports, and how sure the model is.

# %%
new = [
    "Kran in Halle 3 verliert Öl und macht Geräusche",
    "Bitte 20 Kartons Handschuhe bestellen",
    "Rechnung von Huber ist doppelt gekommen",
    "Ersatzteil für die Pumpe: Rechnung prüfen",
]
textgauge.load(result.bundle).predict(new).frame().insert_column(0, pl.Series("Meldung", new))

# %% [markdown]
# ## 5. Explain
#
# Which words decided the last one?

# %%
textgauge.show(textgauge.explain(result.bundle, new[-1]))

# %% [markdown]
# ## 6. The page of the run

# %%
print("Run Details:", result.run.run_url)

# %% [markdown]
# ## Questions to try
#
# **Which model is best here?** `textgauge.show(textgauge.compare(TABLE, **COLUMNS, budget="2m"))`
# *It tries several models with several settings, and puts the best of each beside scikit-learn's. It needs the extra `compare`.*
#
# **Who decides if the model is not sure?** Train with `review_rate=0.1`.
# *The column `decision` is then `review` for the least certain tenth: these go to a person.*
#
# **Will it work next month?** Train with `time_column="Datum"`.
# *The earliest rows train and the latest test; dates such as 31.01.2024 are understood.*
#
# **The file comes from Excel, and umlauts look wrong.** Pass `encoding="cp1252"`.
# *Without it, a message says where the file is not UTF-8, and how it reads in another encoding.*
