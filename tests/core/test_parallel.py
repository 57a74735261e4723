import os
import threading

import pytest

from astronmf.core.parallel import map_blocks, thread_count


@pytest.mark.parametrize("threads", ["1", "3"])
def test_results_come_back_in_the_order_of_the_blocks(monkeypatch, threads):
    monkeypatch.setenv("ASTRONMF_NUM_THREADS", threads)
    assert list(map_blocks(lambda block: block**2, range(50))) == [block**2 for block in range(50)]


@pytest.mark.parametrize("threads", ["1", "3"])
def test_an_error_in_a_block_reaches_the_caller(monkeypatch, threads):
    monkeypatch.setenv("ASTRONMF_NUM_THREADS", threads)
    with pytest.raises(ZeroDivisionError):
        list(map_blocks(lambda block: 1 // block, [2, 1, 0, 1]))


def test_several_threads_work_at_once(monkeypatch):
    monkeypatch.setenv("ASTRONMF_NUM_THREADS", "2")
    meeting = threading.Barrier(2, timeout=10)
    assert len(list(map_blocks(lambda block: meeting.wait(), range(2)))) == 2


def test_one_thread_works_in_the_caller(monkeypatch):
    monkeypatch.setenv("ASTRONMF_NUM_THREADS", "1")
    names = set(map_blocks(lambda block: threading.current_thread().name, range(4)))
    assert names == {threading.current_thread().name}


@pytest.mark.parametrize("wanted", ["1", "7"])
def test_the_environment_says_how_many_threads(monkeypatch, wanted):
    monkeypatch.setenv("ASTRONMF_NUM_THREADS", wanted)
    assert thread_count() == int(wanted)


@pytest.mark.parametrize("nonsense", ["", "0", "-2", "many"])
def test_anything_else_means_the_cores_that_the_process_may_use(monkeypatch, nonsense):
    monkeypatch.setenv("ASTRONMF_NUM_THREADS", nonsense)
    assert 1 <= thread_count() <= os.cpu_count()
