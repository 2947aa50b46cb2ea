"""The cases: PyTorch's own samples for operations, modules and optimisers."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from tests.conformance.harness import Call, Runner, Unsuitable, compare, reveal, share

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_methods_invocations import op_db
    from torch.testing._internal.common_modules import module_db
    from torch.testing._internal.common_optimizers import optim_db

SAMPLES = 4
LOOKED_AT = 20


def name_of(op: Any) -> str:
    return f"{op.name}/{op.variant_test_name}" if op.variant_test_name else str(op.name)


UNDEFINED = {"empty_like", "new_empty", "new_empty_strided"}
"""Memory that PyTorch leaves as it was; here it is 0."""

OPERATIONS = {
    name_of(op): op
    for op in op_db
    if torch.float32 in op.dtypes and not op.name.startswith("jiterator") and op.name not in UNDEFINED
}
MODULES = {info.module_cls.__name__: info for info in module_db}
OPTIMISERS = {info.optim_cls.__name__: info for info in optim_db}


def run_operation(run: Runner, name: str, most: int = SAMPLES) -> int:
    """Compare the first suitable samples; returns how many ran. Raises AssertionError where one differs."""
    op = OPERATIONS[name]
    torch.manual_seed(0)
    ran = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        samples = op.sample_inputs("cpu", torch.float32, requires_grad=op.supports_autograd)
        for seen, sample in enumerate(samples):
            if ran >= most or seen > LOOKED_AT:
                break
            call = Call(op.op, (sample.input, *sample.args), sample.kwargs)
            try:
                bad = compare(run, call, op.supports_autograd)
            except Unsuitable:
                continue
            assert not bad, f"{bad} for {sample}"
            ran += 1
    return ran


def module_calls(name: str) -> Iterator[Call]:
    """Calls of a module in training and in evaluation; parameters and inputs get gradients."""
    info = MODULES[name]
    for training in (True, False):
        torch.manual_seed(0)
        inputs = info.module_inputs_func(
            info, device="cpu", dtype=torch.float32, requires_grad=True, training=training
        )
        for one in inputs[:SAMPLES]:
            if one.forward_input is None:
                continue
            module = info.module_cls(*one.constructor_input.args, **one.constructor_input.kwargs).train(training)
            if any(isinstance(p, torch.nn.UninitializedParameter) for p in module.parameters()):
                with torch.no_grad():
                    module(*one.forward_input.args, **one.forward_input.kwargs)
            state = {n: p.detach().clone().requires_grad_() for n, p in module.named_parameters()}
            state |= {n: b.detach().clone() for n, b in module.named_buffers()}
            yield Call(_functional(module), (state, one.forward_input.args, one.forward_input.kwargs), {})


def _functional(module: torch.nn.Module) -> Any:
    def call(state: dict[str, Tensor], args: Any, kwargs: Any) -> Any:
        return torch.func.functional_call(copy.deepcopy(module), state, args, kwargs)

    return call


def run_module(run: Runner, name: str, most: int = 2 * SAMPLES) -> int:
    """Compare the calls of a module; returns how many ran."""
    ran = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for call in module_calls(name):
            if ran >= most:
                break
            try:
                bad = compare(run, call, backward=True)
            except Unsuitable:
                continue
            assert not bad, bad
            ran += 1
    return ran


STEPS = 5


def optimiser_options(name: str) -> list[dict[str, Any]]:
    """Options that PyTorch itself tests, single tensor, foreach and fused."""
    info = OPTIMISERS[name]
    out = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for one in info.optim_inputs_func(device="cpu"):
            if one.kwargs.get("capturable") or one.kwargs.get("differentiable"):
                continue
            ways = [{k: True} for k in ("foreach", "fused") if k in info.supported_impls]
            out += [{**one.kwargs, **way} for way in [{"foreach": False} if ways else {}, *ways]]
    return out


def train(optimiser: type[torch.optim.Optimizer], options: Any, params: list[Any], x: Tensor, y: Tensor) -> None:
    steps = optimiser(params, **options)
    for _ in range(STEPS):
        steps.zero_grad()
        hidden = torch.tanh(x @ params[0].t() + params[1])
        ((hidden @ params[2].t() - y) ** 2).mean().backward()
        steps.step()


def run_optimiser(run: Runner, name: str, options: dict[str, Any]) -> bool:
    """Compare the weights after some steps; False where plain PyTorch refuses the options."""
    cls = OPTIMISERS[name].optim_cls
    torch.manual_seed(0)
    x, y = torch.randn(16, 4), torch.randn(16, 2)
    start = [torch.randn(5, 4) * 0.5, torch.zeros(5), torch.randn(2, 5) * 0.5]
    plain = [torch.nn.Parameter(p.clone()) for p in start]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            train(cls, options, plain, x, y)
        except (RuntimeError, ValueError):
            return False

        def program(session: Any) -> Any:
            params = [torch.nn.Parameter(share(session, p)) for p in start]
            train(cls, options, params, share(session, x), share(session, y))
            return [reveal(p.detach()) for p in params]

        got = run(program)
    for wanted, found in zip(plain, got, strict=True):
        gap = float((wanted.detach() - found).abs().max())
        assert gap < 1e-2, f"weights differ by {gap}"
    return True
