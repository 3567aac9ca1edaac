"""The pool: few threads, a queue with an end, turns, and jobs that nobody waits for any more."""

import asyncio
import threading
import time

import pytest

from focalrt.serve.pool import LONGEST_ADVICE, Busy, Pool, Unwanted


class Gate:
    """A job that begins, and ends when it is let go."""

    def __init__(self):
        self.begun, self.open = threading.Event(), threading.Event()

    def __call__(self, answer=None):
        self.begun.set()
        assert self.open.wait(30)
        return answer

    async def begin(self):
        while not self.begun.is_set():
            await asyncio.sleep(0.001)


def played(play, workers=1, queue=1):
    """Runs a scene with a pool of its own."""

    async def scene():
        pool = Pool(workers, queue)
        try:
            return await play(pool)
        finally:
            pool.close()

    return asyncio.run(asyncio.wait_for(scene(), 30))


def test_what_a_job_returns_or_raises():
    async def play(pool):
        assert await pool.run(divmod, 7, 3) == (2, 1)
        with pytest.raises(ZeroDivisionError):
            await pool.run(divmod, 7, 0)
        assert pool.jobs == 0

    played(play)


def test_jobs_run_on_threads_and_the_loop_goes_on():
    async def play(pool):
        gate = Gate()
        job = asyncio.create_task(pool.run(gate, "done"))
        await gate.begin()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not job.done()
        gate.open.set()
        assert await job == "done"
        assert await pool.run(threading.current_thread) is not threading.current_thread()

    played(play)


@pytest.mark.parametrize(("workers", "queue"), [(1, 0), (1, 3), (2, 0), (3, 2)])
def test_no_more_than_threads_and_queue(workers, queue):
    async def play(pool):
        gates = [Gate() for _ in range(workers + queue)]
        jobs = [asyncio.create_task(pool.run(gate)) for gate in gates]
        for gate in gates[:workers]:
            await gate.begin()
        await asyncio.sleep(0.02)
        assert not any(gate.begun.is_set() for gate in gates[workers:])
        for _ in range(3):
            with pytest.raises(Busy, match="try again in 1 s"):
                await pool.run(divmod, 1, 1)
        gates[0].open.set()
        await jobs[0]
        for gate in gates:
            gate.open.set()
        assert await pool.run(divmod, 1, 1) == (1, 0)  # there is room again
        await asyncio.gather(*jobs)
        assert pool.jobs == 0

    played(play, workers, queue)


def test_jobs_of_one_turn_follow_each_other_and_hold_no_thread_meanwhile():
    async def play(pool):
        turn, gates, order = asyncio.Lock(), [Gate(), Gate()], []
        first = asyncio.create_task(pool.run(gates[0], turn=turn))
        await gates[0].begin()
        second = asyncio.create_task(pool.run(gates[1], turn=turn))
        await asyncio.sleep(0.02)
        assert not gates[1].begun.is_set()
        assert await pool.run(divmod, 1, 1) == (1, 0)  # the other thread is free
        first.add_done_callback(lambda _: order.append("first"))
        second.add_done_callback(lambda _: order.append("second"))
        for gate in gates[::-1]:
            gate.open.set()
        await asyncio.gather(first, second)
        assert order == ["first", "second"]

    played(play, workers=2, queue=2)


def test_who_waits_for_a_turn_takes_a_place_in_the_queue():
    async def play(pool):
        turn, gate = asyncio.Lock(), Gate()
        jobs = [asyncio.create_task(pool.run(gate, turn=turn)) for _ in range(3)]
        await gate.begin()
        with pytest.raises(Busy):
            await pool.run(divmod, 1, 1, turn=asyncio.Lock())
        gate.open.set()
        await asyncio.gather(*jobs)

    played(play, workers=2, queue=1)


def test_a_job_that_waits_is_dropped_when_nobody_wants_it():
    async def play(pool):
        gate, never = Gate(), Gate()
        running = asyncio.create_task(pool.run(gate))
        await gate.begin()
        waiting = asyncio.create_task(pool.run(never))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        gate.open.set()
        await running
        assert await pool.run(divmod, 1, 1) == (1, 0)
        assert not never.begun.is_set()
        assert pool.jobs == 0

    played(play)


def test_a_job_that_waits_is_dropped_when_whoever_asked_has_gone():
    async def play(pool):
        turn, gate, never, gone = asyncio.Lock(), Gate(), Gate(), threading.Event()
        running = asyncio.create_task(pool.run(gate, "done", turn=turn, gone=threading.Event()))
        await gate.begin()
        waiting = [asyncio.create_task(pool.run(never, turn=each, gone=gone)) for each in (turn, None)]
        await asyncio.sleep(0.01)
        gone.set()
        gate.open.set()
        for each in waiting:
            with pytest.raises(Unwanted):
                await each
        assert await running == "done"
        assert not never.begun.is_set() and not turn.locked()
        assert pool.jobs == 0

    played(play, queue=2)


def test_a_job_that_runs_goes_on_when_whoever_asked_has_gone():
    async def play(pool):
        gate, gone = Gate(), threading.Event()
        running = asyncio.create_task(pool.run(gate, "done", gone=gone))
        await gate.begin()
        gone.set()
        gate.open.set()
        assert await running == "done"

    played(play)


def test_a_job_that_runs_keeps_its_place_and_its_turn_to_the_end():
    async def play(pool):
        turn, gate, ended = asyncio.Lock(), Gate(), []
        job = asyncio.create_task(pool.run(gate, turn=turn))
        await gate.begin()
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        assert pool.jobs == 1 and turn.locked()
        following = asyncio.create_task(pool.run(ended.append, "following", turn=turn))
        await asyncio.sleep(0.02)
        assert not ended
        with pytest.raises(Busy):
            await pool.run(divmod, 1, 1)
        gate.open.set()
        await following
        assert ended == ["following"] and pool.jobs == 0 and not turn.locked()

    played(play)


def test_the_advice_grows_with_the_work_at_hand():
    async def play(pool):
        for _ in range(8):
            await pool.run(time.sleep, 0.1)
        quiet = pool.retry_after
        gate, gone = Gate(), threading.Event()
        gone.set()
        for _ in range(40):  # dropped at once, which does not make the others any faster
            with pytest.raises(Unwanted):
                await pool.run(gate, gone=gone)
        jobs = [asyncio.create_task(pool.run(gate)) for _ in range(40)]
        await gate.begin()
        loaded = pool.retry_after
        gate.open.set()
        await asyncio.gather(*jobs)
        return quiet, loaded

    quiet, loaded = played(play, queue=39)
    assert quiet == 1
    assert 1 < loaded < LONGEST_ADVICE


def test_closing_waits_for_what_runs():
    ended = []

    async def play(pool):
        gate = Gate()
        job = asyncio.create_task(pool.run(lambda: (gate(), time.sleep(0.05), ended.append(True))))
        await gate.begin()
        gate.open.set()
        await asyncio.to_thread(pool.close)
        assert ended
        await job

    played(play)
