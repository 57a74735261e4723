import os
import threading
from concurrent.futures import ThreadPoolExecutor

import helpers
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from astronmf import SequentialNMF
from astronmf.core.parallel import item_blocks, map_blocks, take_blocks, thread_count


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


@pytest.mark.parametrize("nonsense", ["", "0", "-2", "many", "\u00b2"])
def test_anything_else_means_the_cores_that_the_process_may_use(monkeypatch, nonsense):
    monkeypatch.setenv("ASTRONMF_NUM_THREADS", nonsense)
    assert 1 <= thread_count() <= os.cpu_count()


@pytest.mark.parametrize("threads", ["1", "3"])
def test_results_are_taken_one_at_a_time_and_in_order_however_late_the_first_is(monkeypatch, threads):
    monkeypatch.setenv("ASTRONMF_NUM_THREADS", threads)
    late, taken = threading.Event(), []

    def work(block):
        if block == 0 and threads != "1":
            late.wait(timeout=10)
        elif block == 5:
            late.set()
        return block

    take_blocks(work, range(20), taken.append)
    assert taken == list(range(20))


@pytest.mark.parametrize("threads", ["1", "3"])
def test_an_error_in_taking_reaches_the_caller_and_ends_the_work(monkeypatch, threads):
    monkeypatch.setenv("ASTRONMF_NUM_THREADS", threads)
    with pytest.raises(RuntimeError, match="full"):
        take_blocks(lambda block: block, range(1000), refuse)


def refuse(result):
    msg = "full"
    raise RuntimeError(msg)


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_blas_has_one_thread_meanwhile_and_its_own_number_afterwards():
    before = blas_threads()
    assert set(map_blocks(lambda block: max(blas_threads()), range(8))) == {1}
    assert blas_threads() == before


def test_blas_has_one_thread_also_for_a_caller_in_another_thread_and_while_someone_else_has_set_it():
    with threadpool_limits(2, user_api="blas"), ThreadPoolExecutor(1) as user:
        before = blas_threads()
        assert set(user.submit(map_blocks, lambda block: max(blas_threads()), range(8)).result()) == {1}
        assert blas_threads() == before


def test_a_fit_has_the_same_bits_in_any_thread_and_beside_others():
    data = helpers.simulate(60, 4000, 3, seed=11)
    fit = SequentialNMF(3, tol=1e-4).fit(*data.inputs)
    with ThreadPoolExecutor(3) as users:
        others = list(users.map(lambda _: SequentialNMF(3, tol=1e-4).fit(*data.inputs), range(3)))
    for other in others:
        helpers.assert_same_bits((fit.coefficients_, fit.components_), (other.coefficients_, other.components_))


def test_fits_in_several_threads_at_once_leave_blas_as_it_was():
    before = blas_threads()
    with ThreadPoolExecutor(4) as users:
        seen = list(users.map(lambda _: map_blocks(lambda block: block, range(8)), range(12)))
    assert seen == [list(range(8))] * 12
    assert blas_threads() == before


@pytest.mark.parametrize("count", [1, 1024, 1025, 5000])
def test_slices_of_items_cover_each_once(count):
    assert [i for items in item_blocks(count) for i in range(count)[items]] == list(range(count))
