"""Where does the time of a step go?"""

import time

import torch

from .nets import Coarse


def selfcheck(trainer, seconds=60.0):
    """Times every part of a step by itself, device idle before and after each, and prints a table in ms."""
    device, sampler, net, every = trainer.device, trainer.sampler, trainer.net, trainer.args.refine_every
    sync = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    steps = []

    def timed(name, work):
        steps[-1].setdefault(name, 0.0)
        sync()
        start = time.monotonic()
        result = work()
        sync()
        steps[-1][name] += 1000 * (time.monotonic() - start)
        return result

    def predict(*inputs):
        return timed("  of which the network", lambda: trainer.answer(*inputs))

    def segment(batch):
        with trainer.autocast():
            return net(batch.image, batch.previous, batch.points)

    def refine(coarse, focus):
        with trainer.autocast():
            part = Coarse(coarse.logits[::every].detach(), None, coarse.feature[::every].detach())
            net.refine(focus.image, focus.points, part, focus.boxes).logits.sum().backward()

    def one():
        steps.append({})
        net.eval()
        batch = timed("scene: objects, crops, paste, colour", lambda: sampler.scene(trainer.args.batch))
        timed("first clicks and faulty masks", lambda: sampler.begin(batch))
        timed("rounds", lambda: sampler.rounds(batch, predict))
        focus = timed("focus crops", lambda: sampler.focus(batch.part(slice(None, None, every))))
        net.train()
        coarse = timed("(Segmentor alone, forward)", lambda: segment(batch))
        timed("(Refiner alone, forward and backward)", lambda: refine(coarse, focus))
        trainer.net.zero_grad()
        loss, _ = timed("forward and losses, with focus crops", lambda: trainer.forward(batch))
        timed("backward", loss.backward)
        timed("clip, optimiser, average", trainer.update)

    limit = time.monotonic() + seconds
    one()
    one()
    steps.clear()  # by now kernels are chosen and compiled
    while not steps or (time.monotonic() < limit - seconds / 4 and len(steps) < 50):
        one()
    print(f"batch {trainer.args.batch}, median of {len(steps)} steps, ms")
    for name in steps[0]:
        print(f"  {name:40} {sorted(step[name] for step in steps)[len(steps) // 2]:9.2f}")
    start, count = time.monotonic(), 0
    while time.monotonic() < limit or not count:
        trainer.step()
        count += 1
    sync()
    took = time.monotonic() - start
    print(f"  {'whole step, nothing waited for':40} {1000 * took / count:9.2f}")
    print(f"{count * trainer.args.batch / took:.1f} samples/s")
    if device.type == "cuda":
        print(f"memory: {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB at most")
