"""What comes together is computed together, each text once; what comes alone does not wait."""

import asyncio
import time
from types import SimpleNamespace

import polars as pl
import pytest

from textgauge.serving.batching import Batcher
from textgauge.serving.limits import BATCH_CHARACTERS, BATCH_TEXTS, Limits
from textgauge.serving.metrics import Metrics
from textgauge.serving.model import Recent


class Counting:
    """A model that tells what it was asked."""

    def __init__(self, seconds=0.0):
        self.seconds, self.asked, self.recent = seconds, [], Recent(0)

    def answer(self, texts):
        self.asked.append(list(texts))
        time.sleep(self.seconds)
        return [text.upper() for text in texts]


@pytest.fixture
def batcher():
    made = []

    def make(model, **limits):
        made.append(Batcher(lambda: model, Limits(**limits), Metrics()))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_what_comes_together_is_computed_together_and_each_text_once(batcher):
    model = Counting()
    queue = batcher(model)

    async def run():
        return await asyncio.gather(*(queue.predict(["a", f"{n % 2}"]) for n in range(10)))

    answers = asyncio.run(run())
    assert [answer for _, answer in answers] == [["A", f"{n % 2}"] for n in range(10)]
    assert model.asked == [["a", "0", "1"]]


def test_who_comes_alone_does_not_wait_for_others(batcher):
    queue = batcher(Counting())

    async def run():
        took = []
        for n in range(50):
            begin = time.perf_counter()
            await queue.predict([f"{n}"])
            took.append(time.perf_counter() - begin)
        return sorted(took)[25]

    assert asyncio.run(run()) < 0.001


def test_who_asks_for_much_lets_others_have_their_turn(batcher):
    model = Counting(0.001)
    queue = batcher(model)
    many = [f"{n}" for n in range(BATCH_TEXTS + 5)]
    long = ["x" * (BATCH_CHARACTERS // 2), "y" * (BATCH_CHARACTERS // 2 + 1), "z"]

    async def run():
        asked = (queue.predict(texts) for texts in (many, ["a"], ["b"], long))
        return await asyncio.gather(*asked)

    answers = asyncio.run(run())
    assert [len(each) for each in model.asked] == [BATCH_TEXTS, 3, 5, 2]
    assert answers[0][1] == many
    assert answers[3][1] == [text.upper() for text in long]


def test_a_request_is_answered_by_one_model_alone():
    first, second = Counting(), Counting()
    in_use = iter([first, first, second, second, second, second])
    queue = Batcher(lambda: next(in_use), Limits(), Metrics())
    told_by, answers = asyncio.run(queue.predict([f"{n}" for n in range(BATCH_TEXTS + 1)]))
    queue.close()
    assert told_by is second
    assert len(answers) == BATCH_TEXTS + 1
    assert [len(each) for each in second.asked] == [1, BATCH_TEXTS, 1]


def test_many_predictions_do_not_keep_other_work_waiting(batcher):
    model = Counting(0.002)
    queue = batcher(model)
    order = []

    async def ask(n):
        for step in range(5):
            await queue.predict([f"{n} {step}"])
            order.append("texts")

    async def other():
        await queue.run(lambda: order.append("other"))

    async def run():
        await asyncio.gather(*(ask(n) for n in range(4)), other())

    asyncio.run(run())
    assert order.index("other") < 10


def test_who_goes_away_is_forgotten(batcher):
    model = Counting(0.05)
    queue = batcher(model)

    async def run():
        first = asyncio.create_task(queue.predict(["first"]))
        await asyncio.sleep(0.01)
        gone = asyncio.create_task(queue.predict(["gone"]))
        stays = asyncio.create_task(queue.predict(["stays"]))
        await asyncio.sleep(0.01)
        gone.cancel()
        await asyncio.gather(first, stays)

    asyncio.run(run())
    assert model.asked == [["first"], ["stays"]]
    assert len(queue) == 0


def test_what_fails_is_told_to_all_that_asked_and_the_next_goes_on(batcher):
    model = SimpleNamespace(recent=Recent(0), answer=lambda texts: 1 / (texts[0] != "bad"))
    queue = batcher(model)

    async def run():
        asked = (queue.predict(["bad"]), queue.predict(["good"]))
        failed = await asyncio.gather(*asked, return_exceptions=True)
        model.answer = lambda texts: texts
        return failed, (await queue.predict(["good"]))[1]

    failed, after = asyncio.run(run())
    assert [type(each) for each in failed] == [ZeroDivisionError] * 2
    assert after == ["good"]


def test_a_panic_ends_no_more_than_the_request(batcher):
    def panic():
        raise pl.exceptions.PanicException("at the disco")

    queue = batcher(Counting())

    async def run():
        with pytest.raises(RuntimeError, match="at the disco"):
            await queue.run(panic)
        return await queue.run(lambda: "after")

    assert asyncio.run(run()) == "after"


def test_what_is_remembered_has_a_bound():
    recent = Recent(1_000)
    for n in range(100):
        recent.put(f"{n:050}", n)
    kept = [n for n in range(100) if recent.get(f"{n:050}") is not None]
    assert kept == list(range(94, 100))
    recent.put("long" * 1_000, 1)
    assert recent.get("long" * 1_000) is None
