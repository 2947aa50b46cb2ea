import pytest

from tests.faults.members import Identities
from tests.faults.zygote import Zygote


@pytest.fixture(scope="session")
def zygote():
    with Zygote() as found:
        yield found


@pytest.fixture(scope="session")
def identities(tmp_path_factory):
    return Identities(tmp_path_factory.mktemp("identities"))
