import pytest

from parties.testing import ConformanceError, by_processes, check_channel
from parties.threads import simulate
from tests.parties.starting import mpirun, over_mpi, over_tls


def test_threads():
    check_channel(lambda n, program: simulate(n, program, dealer=False))


def test_threads_with_a_client():
    check_channel(lambda n, program: simulate(n, program, dealer=False, clients=1), ranks=(3,), failures=False)


@pytest.mark.processes
def test_tls(forked):
    check_channel(by_processes(over_tls))


@pytest.mark.processes
@pytest.mark.skipif(mpirun() is None, reason="no mpirun")
@pytest.mark.parametrize("n", [2, 3, 4])
def test_mpi(n, forked):
    check_channel(by_processes(over_mpi), ranks=(n,), failures=n == 3)


def test_a_transport_that_loses_data_is_found():
    def make(n, program):
        return ["fine"] * (n - 1) + ["lost"]

    with pytest.raises(ConformanceError, match=r"orderly run of 2 ranks: got .*; want"):
        check_channel(make)


def test_a_rank_without_a_result_is_found():
    with pytest.raises(ConformanceError, match="left no result; the launcher gave 7"):
        check_channel(by_processes(lambda n, command: 7))
