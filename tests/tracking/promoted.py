"""What `textgauge register` does to a registry, for a process that is logged in to a stand-in."""

PROMOTE = """
from textgauge.errors import TrackingError
from textgauge.tracking.promotion import find_run, find_version, promote
from textgauge.tracking.protocol import CHAMPION
answer = []
for run_id in (*runs, runs[-1]):
    found = find_run(run_id, uri)
    assert (found.folder / "MLmodel").is_file(), found.folder
    champion = find_version(found, name, CHAMPION)
    before = None if champion is None else champion.number
    if champion is not None and run_id != runs[-1]:
        assert (champion.folder / "MLmodel").is_file()
    tags, told = {"textgauge.gates": "eval_accuracy 0.75 >= 0.5"}, "| what | changed |"
    if before is not None:
        try:
            promote(found, name, CHAMPION, tags=tags, description=told, champion="77")
        except TrackingError as error:
            assert "somebody else registered meanwhile" in str(error), error
    done = promote(found, name, CHAMPION, tags=tags, description=told, champion=before)
    answer.append([done.name, done.version, done.created, done.previous])
"""
"""Make each of `runs` the champion of `name`, the last one twice; `answer` tells what was done."""
