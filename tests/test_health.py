"""Which devices are fit, and which jobs are kept from them: the policy alone, on a virtual clock."""

import math

import pytest
import torch

from solution.driver.health import (
    HANG_LEAST,
    PROBE_AFTER,
    PROBE_MOST,
    PROBES_ALONE,
    SICK_AFTER,
    Health,
    hangs_after,
    is_lost,
    is_out_of_memory,
)
from solution.schedule.job import MAX_ATTEMPTS, Job

TWO = ("cuda:0", "cuda:1", "search:0")


def ttt(task, attempt=0):
    return Job("ttt", (task,), 0, 8, attempt)


def fail(health, device, tasks):
    for task in tasks:
        health.failed(device, ttt(task))


def test_one_task_that_fails_again_and_again_makes_no_device_suspect():
    health = Health(TWO)
    for attempt in range(MAX_ATTEMPTS):
        health.failed("cuda:0", ttt("a", attempt))
        health.failed("cuda:0", Job("base", ("a", "b")))
    assert health.suspected("cuda:0") is None and health.is_fit("cuda:0")
    health.failed("cuda:0", ttt("b"))
    assert health.suspected("cuda:0") is None
    health.failed("cuda:0", ttt("c"))
    assert health.suspected("cuda:0") == "ttt"


def test_a_success_of_the_same_family_clears_a_device():
    health = Health(("cpu:0", "cpu:1"))
    fail(health, "cpu:0", "ab")
    health.succeeded("cpu:0", Job("program", ("x",)))
    health.failed("cpu:0", ttt("c"))
    assert health.suspected("cpu:0") == "ttt"  # a search says nothing about trainings
    health.succeeded("cpu:0", Job("base", ("x",)))
    fail(health, "cpu:0", "de")
    assert health.suspected("cpu:0") is None


def test_a_suspected_device_is_tried_with_what_has_succeeded_in_the_stage_that_failed():
    health = Health(TWO)
    fail(health, "cuda:1", "abc")
    assert health.trial_due("cuda:1", 0.0) and health.trials("cuda:1") == []  # nothing has succeeded: as good as any
    health.succeeded("cuda:0", Job("base", ("x", "y")))
    health.succeeded("search:0", Job("program", ("x",)))
    assert health.trials("cuda:1") == [Job("base", ("x", "y"))]
    health.succeeded("cuda:0", Job("ttt", ("x",), 0, 8, 0, 0, 4))  # a slice
    health.succeeded("cuda:0", Job("ttt", ("y",), 0, 8, 0, 4, 0))  # the end of a training: tried from its beginning
    assert health.trials("cuda:1") == [ttt("y")]


def test_a_retired_device_is_forgiven_tried_ever_less_often_and_comes_back():
    health = Health(TWO)
    health.succeeded("cuda:0", ttt("x"))
    fail(health, "cuda:1", "aabc")
    forgiven = health.failed_trial("cuda:1", ttt("x"), 100.0)
    assert forgiven == {("ttt", ("a",), 0): 2, ("ttt", ("b",), 0): 1, ("ttt", ("c",), 0): 1}
    assert not health.is_fit("cuda:1") and health.has("fit") and health.others("cuda:0", "neural") == []
    now, waits = 100.0, []
    for _ in range(20):
        assert not health.trial_due("cuda:1", now)
        step = PROBE_AFTER
        while not health.trial_due("cuda:1", now + step):
            step *= 2
        now += step
        waits.append(step)
        assert health.trials("cuda:1") == [ttt("x")]
        assert not health.failed_trial("cuda:1", ttt("x"), now)
    assert waits[0] == PROBE_AFTER and waits == sorted(waits) and PROBE_MOST <= waits[-1] < 2 * PROBE_MOST
    health.succeeded("cuda:1", ttt("x"))
    assert health.is_fit("cuda:1") and not health.trial_due("cuda:1", math.inf)


def test_the_only_device_of_its_kind_waits_a_while_and_then_goes_on_with_failures_that_count():
    health = Health(("cuda:0", "search:0"))
    health.succeeded("cuda:0", ttt("x"))
    fail(health, "cuda:0", "abc")
    for _ in range(PROBES_ALONE - 1):
        health.failed_trial("cuda:0", ttt("x"), 0.0)
        assert not health.is_fit("cuda:0")
    health.failed_trial("cuda:0", ttt("x"), 0.0)
    fail(health, "cuda:0", "defghi")
    assert health.is_fit("cuda:0") and not health.trial_due("cuda:0", math.inf)
    health.succeeded("cuda:0", ttt("j"))
    fail(health, "cuda:0", "klm")
    assert health.trial_due("cuda:0", 0.0)  # it worked again: to be judged as before


def test_a_job_that_failed_goes_to_a_device_that_has_not_tried_it():
    health, failures = Health(TWO), {}
    health.failed("cuda:0", ttt("a"))
    failures["ttt", ("a",), 0] = 1
    assert health.held("cuda:0", failures) == {Job("ttt", ("a",), 0)} and not health.held("cuda:1", failures)
    health.failed("cuda:1", ttt("a", 1))
    assert not health.held("cuda:0", failures) and not health.held("cuda:1", failures)  # both have: whichever is free
    health.failed("cuda:0", ttt("b"))
    health.lost("cuda:1")
    assert not health.held("cuda:0", failures)  # a worker that only searches is no other device
    assert Health(("search:0", "search:1")).held("search:0", {}) == set()


def test_a_job_that_failed_comes_after_others_until_its_device_has_succeeded():
    health = Health(("cuda:0", "search:0"))
    health.failed("cuda:0", Job("base", ("x", "y")))
    health.failed("cuda:0", ttt("a", 1))
    assert health.doubtful("cuda:0") == {Job("ttt", ("a",), 0)} and not health.doubtful("search:0")
    health.succeeded("cuda:0", ttt("b"))
    assert not health.doubtful("cuda:0")


@pytest.mark.parametrize("stage, other", [("written", False), ("program", True)])
def test_only_the_first_worker_writes_programs(stage, other):
    health = Health(("search:0", "search:1"))
    health.failed("search:0", Job(stage, ("a",)))
    assert bool(health.held("search:0", {})) is other


def test_a_job_that_lost_a_device_waits_and_is_left_out_after_a_second_loss():
    health = Health(TWO)
    assert health.loss(Job("ttt", ("a",), 0, 8, 0, 4, 4)) == [] and health.waiting() == {ttt("a")}
    assert health.loss(Job("ttt", ("a",), 0, 8)) == ["a"] and not health.waiting()
    assert health.loss(Job("base", ("b", "c"))) == [] and not health.waiting()  # any of them, done one by one from now on
    assert health.loss(Job("base", ("b",))) == ["b"]
    assert health.loss(Job("joint", ())) == []
    health.loss(ttt("d"))
    health.succeeded("cuda:0", Job("program", ("d",)))
    assert health.waiting() == {ttt("d")}
    health.succeeded("cuda:0", ttt("d"))
    assert not health.waiting()


def test_what_is_memory_what_a_lost_device_and_what_neither():
    for text in (
        "CUDA out of memory. Tried to allocate 2.00 GiB", "CUDA error: out of memory", "Triton Error [CUDA]: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory", "CUDA driver error: out of memory",
    ):  # fmt: skip
        assert is_out_of_memory(RuntimeError(text)) and not is_lost(RuntimeError(text))
    assert is_out_of_memory(MemoryError()) and is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    for text in (
        "CUDA error: an illegal memory access was encountered", "CUDA error: unspecified launch failure",
        "Triton Error [CUDA]: an illegal memory access was encountered", "CUDA error: device-side assert triggered",
    ):  # fmt: skip
        assert is_lost(RuntimeError(text)) and not is_out_of_memory(RuntimeError(text))
    assert not is_lost(ValueError("no")) and not is_out_of_memory(ValueError("no"))


def test_a_job_hangs_only_well_beyond_its_forecast():
    assert hangs_after(1.0) == HANG_LEAST and hangs_after(HANG_LEAST) > 4 * HANG_LEAST and SICK_AFTER == 3
