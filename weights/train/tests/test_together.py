"""Two processes on this machine, started as torchrun starts them."""

import json
import os
import socket

import torch
import torch.multiprocessing

from train import packs as packing
from train import together
from train.train import Trainer, arguments


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def worker(rank, port, packs, out):
    os.environ.update(RANK=str(rank), WORLD_SIZE="2", LOCAL_RANK=str(rank), MASTER_ADDR="127.0.0.1",
                      MASTER_PORT=str(port))
    torch.set_num_threads(1)
    together.join("cpu")
    mine = [torch.full((2, 3), float(rank)), torch.full((4,), 10.0 * rank)]
    together.average(mine)
    said = together.first([rank + 0.25, True])
    agreed = [together.all_of(True), together.all_of(rank == 0)]

    options = ["--packs", packs, "--batch", "2", "--device", "cpu", "--watch", "2", "--total-samples", "8",
               "--log-seconds", "0", "--muon", "--out", out, "--state", f"{out}/state.pt"]
    trainer = Trainer(arguments(options), packing.load_packs(packs, limit=4))
    trainer.run()
    torch.distributed.barrier()  # the first process has written it
    trainer.load_state(torch.load(f"{out}/state.pt", weights_only=False))
    drawn = trainer.sampler.uniform(4)
    result = {"mine": mine, "said": said, "agreed": agreed, "drawn": drawn, "samples": trainer.samples,
              "parameters": [p.detach() for p in trainer.parameters]}
    torch.save(result, f"{out}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_train_one_network(packs, tmp_path):
    torch.multiprocessing.spawn(worker, (free_port(), str(packs), str(tmp_path)), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    for result in (first, second):
        assert [t.unique().tolist() for t in result["mine"]] == [[0.5], [5.0]]
        assert result["said"] == [0.25, 1.0]
        assert result["agreed"] == [True, False]
        assert result["samples"] == 8
    assert not torch.equal(first["drawn"], second["drawn"]), "each draws samples of its own, after a state was read too"
    assert all(torch.equal(a, b) for a, b in zip(first["parameters"], second["parameters"]))
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["samples"] == 8 and record["processes"] == 2
    assert len(record["history"]) == 2, "a line within the run and one at its end"


def test_one_process_is_alone():
    tensor = torch.arange(3.0)
    together.average([tensor])
    assert tensor.tolist() == [0, 1, 2]
    assert together.first([2, False]) == [2.0, 0.0]
    assert together.all_of(True) and not together.all_of(False)
    assert (together.rank(), together.size()) == (0, 1)
