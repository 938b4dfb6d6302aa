"""Workers that train together are one training, however unevenly the texts are shared out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from engines.spark.cluster import free_ports

from textgauge.engines.spark import workers
from textgauge.errors import EngineError

BATCHES = (4, 0), (2, 3), (0, 0)
"""Batches of the two workers, one case after the other."""

WORKER = """
import json, sys
from pathlib import Path
import torch
from textgauge.engines.spark.workers import device_of, joined
from textgauge.training.batches import Batch

rank, cases = int(sys.argv[1]), json.loads(sys.argv[2])
told = []
with joined(rank, 2, device_of(False, 0)) as world:
    model = torch.nn.Linear(1, 2)
    shared = world.share(model)
    for batches in cases:
        mine = [
            Batch(torch.ones(2, 1, dtype=torch.int64), torch.full((2, 1), float(rank + number)),
                  torch.ones(2, dtype=torch.int64), torch.ones(2, 2))
            for number in range(batches[rank])
        ]
        seen = []
        for batch, texts in world.in_step(mine, 2):
            model.zero_grad()
            (shared(batch.positions) * batch.targets).sum().backward()
            seen.append([texts, model.weight.grad[0, 0].item() * 2])
        told.append(seen)
    told.append([world.any(False), world.any(rank == 1)])
Path(sys.argv[3], f"{rank}.json").write_text(json.dumps(told))
"""


def test_one_that_runs_out_first_takes_part_and_adds_nothing(tmp_path: Path) -> None:
    environment = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(*free_ports(1)),
        "GLOO_SOCKET_IFNAME": "lo",
    }
    both = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(rank), json.dumps(BATCHES), tmp_path],
            env=environment,
        )
        for rank in (0, 1)
    ]
    assert [each.wait(120) for each in both] == [0, 0]
    found = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    assert found[0] == found[1]
    *cases, anybody = found[0]
    for batches, seen in zip(BATCHES, cases, strict=True):
        expected = []
        for step in range(max(batches)):
            at_work = [rank for rank in (0, 1) if step < batches[rank]]
            # Two texts a batch, each with the value rank + step; the workers' mean, twice.
            expected.append([2 * len(at_work), 2.0 * sum(rank + step for rank in at_work)])
        assert seen == expected
    assert anybody == [False, True]


def test_a_gpu_that_is_promised_and_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert workers.device_of(False, 3) == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert workers.device_of(True, 0) == torch.device("cuda", 0)
    with pytest.raises(EngineError, match=r"gives each task a GPU, and torch .* sees 1 of them on"):
        workers.device_of(True, 1)


ON_A_GPU = """
import sys
import torch
import torch.distributed as dist
from textgauge.engines.spark.workers import Together, device_of
from textgauge.training.batches import Batch

device = device_of(True, 0)
torch.cuda.set_device(device)
dist.init_process_group("nccl", init_method=sys.argv[1], rank=0, world_size=1)
world = Together(0, 2, device)  # Of two, the other of which is not asked: a GPU takes one worker.
torch.manual_seed(0)
model = torch.nn.Linear(1, 2).to(device)
shared = world.share(model)
assert isinstance(shared, torch.nn.parallel.DistributedDataParallel)
mine = [Batch(torch.ones(2, 1, dtype=torch.int64), torch.full((2, 1), float(number)),
              torch.ones(2, dtype=torch.int64), torch.ones(2, 2)) for number in (1, 2)]
seen = []
for batch, texts in world.in_step(mine, 2):
    assert batch.positions.device == device
    model.zero_grad()
    (shared(batch.positions) * batch.targets).sum().backward()
    seen.append([texts, model.weight.grad[0, 0].item()])
assert seen == [[2, 2.0], [2, 4.0]], seen
total = world.sum(torch.tensor([1.5, 2.0], dtype=torch.float64))
assert (total.device.type, total.tolist()) == ("cpu", [1.5, 2.0])
assert [world.any(False), world.any(True)] == [False, True]
dist.destroy_process_group()
print("as it should be")
"""


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU here")
def test_a_worker_on_a_gpu_shares_gradients_and_sums_by_nccl() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ON_A_GPU, f"tcp://127.0.0.1:{free_ports(1)[0]}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "as it should be" in done.stdout, done.stderr
