"""Nothing looks inside a secret; every refusal says what to write instead."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
import torch

from mpc import SecretError, UnsupportedOperation
from mpc.tensor import SharedTensor
from parties import JointfitError
from tests.conformance.harness import plain_runner, reveal, share

SECRET = 1234.5


@pytest.fixture
def session():
    return plain_runner(lambda s: s)


@pytest.fixture
def x(session):
    return share(session, torch.tensor(SECRET))


LEAKS = {
    "bool": bool,
    "if": lambda x: 1 if x > 0 else 0,
    "and": lambda x: x and 1,
    "not": lambda x: not x,
    "int": int,
    "float": float,
    "complex": complex,
    "index": lambda x: [1, 2][x],
    "range": range,
    "round": lambda x: round(float(x)),
    "item": lambda x: x.item(),
    "tolist": lambda x: x.tolist(),
    "numpy": lambda x: x.numpy(),
    "numpy, forced": lambda x: x.numpy(force=True),
    "asarray": np.asarray,
    "format": lambda x: f"{x:.3f}",
    "percent": lambda x: "%f" % x,  # noqa: UP031
    "sorted": lambda x: sorted([x, x + 1]),
    "max": lambda x: max([x, x + 1]),
    "in": lambda x: x in [x + 1, x + 2],
    "contains": lambda x: 3 in x.reshape(1),
    "nonzero": lambda x: x.reshape(1).nonzero(),
    "argwhere": lambda x: torch.argwhere(x.reshape(1)),
    "where with one argument": lambda x: torch.where(x.reshape(1) > 0),
    "unique": lambda x: x.unique(),
    "equal": lambda x: torch.equal(x, x),
    "allclose": lambda x: torch.allclose(x, x),
    "is_nonzero": lambda x: x.is_nonzero(),
    "indexing by a secret": lambda x: torch.arange(5)[(x * 0).long().reshape(1)],
    "indexing by a secret mask": lambda x: x.reshape(1)[x.reshape(1) > 0],
    "writing at a secret place": lambda x: torch.zeros(3).index_put((x.long().reshape(1),), torch.ones(1)),
    "embedding of a secret": lambda x: torch.nn.functional.embedding(x.long().reshape(1), torch.ones(3, 2)),
    "masked_select": lambda x: torch.masked_select(x, x > 0),
    "repeat_interleave": lambda x: torch.ones(1).repeat_interleave(x.long().reshape(1)),
    "list to tensor": lambda x: torch.tensor([x, x]),
    "numbers": lambda x: torch.full((2,), x),
    "pickle": pickle.dumps,
    "torch.save": lambda x: torch.save(x, io.BytesIO()),
    "reduce": lambda x: x.__reduce_ex__(2),
    "dlpack": lambda x: x.__dlpack__(),
    "from_dlpack": torch.from_dlpack,
    "data_ptr": lambda x: x.data_ptr(),
    "storage": lambda x: x.untyped_storage(),
    "typed storage": lambda x: x.storage(),
    "share_memory_": lambda x: x.share_memory_(),
    "clip_grad with error": lambda x: torch.nn.utils.get_total_norm([x.reshape(1)], error_if_nonfinite=True) > 1 or 1,
    "histogram": torch.histc,
    "bincount": lambda x: torch.bincount(x.long().reshape(1)),
}


@pytest.mark.parametrize("name", LEAKS)
def test_refused(x, name):
    with pytest.raises((SecretError, UnsupportedOperation)) as caught:
        LEAKS[name](x)
    assert isinstance(caught.value, JointfitError)
    assert str(SECRET) not in str(caught.value)


def test_secret_error_names_the_way_out(x):
    with pytest.raises(SecretError, match=r"session\.reveal"):
        float(x)
    with pytest.raises(SecretError, match=r"torch\.where"):
        bool(x > 0)
    assert issubclass(SecretError, TypeError)
    assert issubclass(UnsupportedOperation, NotImplementedError)


def test_unsupported_operation_names_operation_and_shapes(session):
    with pytest.raises(UnsupportedOperation, match=r"aten\.linalg_qr.*SharedTensor\(2, 3\):float32"):
        torch.linalg.qr(share(session, torch.ones(2, 3)))


@pytest.mark.parametrize("show", [repr, str, lambda x: f"{x}", lambda x: f"{[x]}", lambda x: repr(x.protocol_share)])
def test_text_shows_no_value(x, show):
    text = show(x)
    assert "1234" not in text
    assert "()" in text


def test_text_of_a_module_shows_no_value(session):
    layer = torch.nn.Linear(1, 1)
    layer.weight = torch.nn.Parameter(share(session, torch.tensor([[SECRET]])))
    assert "1234" not in f"{layer} {layer.weight} {layer.state_dict()}"


def test_gradients_show_no_value(session):
    w = share(session, torch.tensor([SECRET]), requires_grad=True)
    (w * w).sum().backward()
    assert "2469" not in f"{w.grad}"


def test_plain_tensors_cannot_take_secrets(x):
    with pytest.raises(SecretError, match="zeros_like"):
        torch.zeros(()).copy_(x)
    with pytest.raises(SecretError, match="zeros_like"):
        torch.add(x, 1, out=torch.zeros(()))


def test_public_values_can_be_read(session):
    y = SharedTensor.public(session, torch.tensor([1.0, 2.0]))
    assert y.tolist() == [1, 2]
    assert float(y[1]) == 2
    assert bool(y[0] > 0)
    assert y.numpy().sum() == 3


def test_comparison_stays_secret(x):
    bit = x > 0
    assert bit.is_secret
    assert bit.dtype == torch.bool
    assert bool(reveal(bit))
