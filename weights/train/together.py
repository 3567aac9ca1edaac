"""One network in several processes (``torchrun``): each draws samples of its own, gradients are averaged, the first
process's clock decides. A single process needs none of it and pays nothing."""

import os

import torch
from torch import distributed


def join(device):
    if "RANK" not in os.environ:
        return
    if torch.device(device).type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group("cpu:gloo,cuda:nccl")
    else:
        distributed.init_process_group("gloo")


def rank():
    return distributed.get_rank() if distributed.is_initialized() else 0


def size():
    return distributed.get_world_size() if distributed.is_initialized() else 1


def average(tensors):
    """The mean of each tensor over the processes, in place."""
    if size() == 1:
        return
    flat = torch.cat([t.flatten() for t in tensors])
    distributed.all_reduce(flat)
    for tensor, mean in zip(tensors, flat.div_(size()).split([t.numel() for t in tensors])):
        tensor.copy_(mean.view(tensor.shape))


def first(numbers):
    """What the first process says, as floats, in all of them."""
    if size() == 1:
        return [float(n) for n in numbers]
    told = torch.tensor(numbers, dtype=torch.float64)
    distributed.broadcast(told, 0)
    return told.tolist()


def all_of(yes):
    """Whether every process says yes."""
    if size() == 1:
        return yes
    told = torch.tensor(float(yes))
    distributed.all_reduce(told, distributed.ReduceOp.MIN)
    return bool(told)
