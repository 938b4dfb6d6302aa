"""`report.html`: the review of a run on one page, for those who decide and those who check."""
