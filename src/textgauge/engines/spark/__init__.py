"""The work on a Spark cluster, with the same results as in this process.

session.py     a session: the one that is there, or one of our own
executors.py   whether the executors can do the work, in one sentence where they cannot
jobs.py        work that Ctrl-C ends at once
failures.py    what Spark's errors mean
storage.py     files and folders as Spark sees them
tables.py      tables in: files, Spark tables, Delta, DataFrames
worker.py      what runs on the executors
scoring.py     a whole table scored
output.py      results that appear whole or not at all
"""
