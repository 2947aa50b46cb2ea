"""Links that break and come back: every byte arrives once, in order; and links that do not come back."""


import pytest

from parties.testing import check_channel, orderly
from tests.parties.meshes import Mesh
from tests.parties.proxies import Cutter


def test_contract(tmp_path):
    def make(n, program):
        with Mesh(tmp_path, n) as mesh:
            return mesh.run(program)

    check_channel(make, ranks=(3,))


@pytest.mark.parametrize("n", [2, 3])
def test_cut_at_random_moments(tmp_path, n):
    with Mesh(tmp_path, n) as mesh, Cutter(list(mesh.proxies.values()), n, (0.05, 0.25)) as cutter:
        assert mesh.run(orderly) == ["fine"] * n
        assert cutter.cuts > 2
