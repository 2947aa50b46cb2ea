"""One party of SPU with semi2k or ABY3: the rows in JAX, images as rows × height × width × channels. Needs no jointfit.

``compile FOLDER SIZE ROW...`` writes SPU's programs, so that a party has no JAX in its memory; ``party`` runs them.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from experiments.peers.shapes import ROWS, shapes
from experiments.peers.worker import Work, serve

WIDTHS = {"logistic": (30, 1), "mlp": (784, 128, 128, 10), "lenet": (256, 120, 84, 10)}
KERNELS = {"logistic": (), "mlp": (), "lenet": ((5, 5, 1, 6), (5, 5, 6, 16))}
RATE = 0.01


def operands(name: str, size: str) -> list[tuple[int, ...]]:
    """Shapes of a row's secrets: its operands, or the batch, the labels and the weights."""
    row, found = ROWS[name], list(shapes(name, tiny=size == "tiny"))
    found = [(one[0], *one[2:], one[1]) if len(one) == 4 else one for one in found]
    if name == "conv":
        found[1] = (5, 5, 1, 6)
    if row.model:
        widths = WIDTHS[row.model]
        found += [(found[0][0], widths[-1]), *KERNELS[row.model]]
        found += [shape for m, n in itertools.pairwise(widths) for shape in ((m, n), (n,))]
    return found


def function(name: str) -> Callable[..., Any]:
    """What is computed, in JAX."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    def conv(x: Any, w: Any) -> Any:
        return lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def maxpool(x: Any) -> Any:
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    relu = jax.nn.relu  # its gradient compares once, that of jnp.maximum three times

    if not ROWS[name].model:
        return {
            "product": lambda x, y: x * y,
            "matmul": jnp.matmul,
            "less": lambda x, y: x < y,
            "relu": relu,
            "exp": jnp.exp,
            "sigmoid": jax.nn.sigmoid,
            "reciprocal": lambda x: 1 / x,
            "softmax": lambda x: jax.nn.softmax(x, axis=1),
            "conv": conv,
            "maxpool": maxpool,
        }[name]
    model, wants_loss = ROWS[name].model, ROWS[name].loss
    kernels = len(KERNELS[model])

    def network(weights: Sequence[Any], x: Any) -> Any:
        for kernel in weights[:kernels]:
            x = maxpool(relu(conv(x, kernel)))
        x = x.reshape(len(x), -1)
        dense = weights[kernels:]
        for place in range(0, len(dense), 2):
            x = x @ dense[place] + dense[place + 1]
            x = relu(x) if place + 2 < len(dense) else x
        return x

    def step(x: Any, y: Any, *weights: Any) -> Any:
        """As the others do: softmax(z) - y or sigmoid(z) - y goes back, the loss has a formula of its own."""
        z, back = jax.vjp(lambda w: network(w, x), weights)
        p = jax.nn.sigmoid(z) if model == "logistic" else jax.nn.softmax(z, axis=1)
        (gradients,) = back((p - y) / len(x))
        updated = [w - RATE * g for w, g in zip(weights, gradients, strict=True)]
        if not wants_loss:
            return updated
        if model == "logistic":
            loss = jnp.mean(jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z))))
        else:
            loss = -jnp.mean(jnp.sum(y * jax.nn.log_softmax(z, axis=1), axis=1))
        return [*updated, loss]

    return step


def compile_rows(folder: str, size: str, *rows: str) -> None:
    """Write SPU's program for each row to a file of its name."""
    for name in rows:
        (Path(folder) / name).write_bytes(compiled(name, size))


def compiled(name: str, size: str) -> bytes:
    """SPU's program for a row."""
    import numpy as np
    from spu import Visibility
    from spu.utils import frontend

    arguments = [np.zeros(shape, np.float32) for shape in operands(name, size)]
    names = [f"in{place}" for place in range(len(arguments))]
    executable, _ = frontend.compile(
        frontend.Kind.JAX,
        function(name),
        arguments,
        {},
        names,
        [Visibility.VIS_SECRET] * len(names),
        lambda outputs: [f"out{place}" for place in range(len(outputs))],
    )
    return bytes(executable.SerializeToString())


def inputs_of(name: str, size: str) -> list[Any]:
    """Numbers of the same range as the other systems get: operands, batch, labels, weights."""
    import numpy as np

    generator = np.random.default_rng(0)
    found = [generator.uniform(0.5, 2.0, shape) for shape in operands(name, size)]
    if ROWS[name].model:
        n, classes = found[1].shape
        found[1] = np.eye(classes)[np.arange(n) % classes] if classes > 1 else generator.integers(0, 2, (n, 1))
        found[2:] = [(one - 1.25) / 0.75 / np.sqrt(max(1, np.prod(one.shape[:-1]))) for one in found[2:]]
    return [one.astype(np.float32) for one in found]


def work_of(link: Any, protocol: str, log: Path, programs: Path, name: str, size: str) -> Work:
    """The row as `worker` wants it. Inputs are shared once: SPU keeps nothing of them from one run to the next."""
    import spu

    def config(*, counting: bool) -> Any:
        kind = {"semi2k": spu.ProtocolKind.SEMI2K, "aby3": spu.ProtocolKind.ABY3}[protocol]
        found = spu.RuntimeConfig(protocol=kind, field=spu.FieldType.FM64)
        found.max_concurrency = 1
        found.enable_hal_profile = counting
        return found

    executable = spu.libspu.Executable()
    executable.ParseFromString((programs / name).read_bytes())
    runtimes = {counting: spu.Runtime(link, config(counting=counting)) for counting in (False, True)}
    data = inputs_of(name, size) if link.rank == 0 else [None] * len(operands(name, size))
    for place, one in enumerate(data):
        share = _shared(spu, link, config(counting=False), one)
        for runtime in runtimes.values():
            runtime.set_var(f"in{place}", share)

    def count(_: None) -> dict[str, int]:
        runtimes[True].run(executable)
        said = re.findall(r"Link details: total send bytes (\d+), .*send actions (\d+)", log.read_text("utf-8"))
        return {"bytes": int(said[-1][0]), "rounds": int(said[-1][1]), "offline": 0}

    return Work(lambda: None, lambda _: runtimes[False].run(executable), count)


def main(path: str, protocol: str, rank: str, programs: str, log: str, *hosts: str) -> None:
    """Run as a party."""
    from spu import libspu

    options = libspu.logging.LogOptions()
    options.system_log_path, options.enable_console_logger = log, False
    libspu.logging.setup_logging(options)
    description = libspu.link.Desc()
    for place, host in enumerate(hosts):
        description.add_party(f"party {place}", host)
    description.recv_timeout_ms = 600_000
    link = libspu.link.create_brpc(description, int(rank))
    serve(path, int(rank), lambda name, size: work_of(link, protocol, Path(log), Path(programs), name, size))


def _shared(spu: Any, link: Any, config: Any, data: Any) -> Any:
    """Party 0's array (None on the others) as a secret of all."""
    if link.rank == 0:
        mine, *others = spu.Io(link.world_size, config).make_shares(data, spu.Visibility.VIS_SECRET)
        for rank, other in enumerate(others, 1):
            link.send(rank, other.meta)
            link.send(rank, json.dumps(len(other.share_chunks)))
            for chunk in other.share_chunks:
                link.send(rank, chunk)
        return mine
    share = spu.libspu.Share()
    share.meta = link.recv(0)
    share.share_chunks = [link.recv(0) for _ in range(json.loads(link.recv(0)))]
    return share


if __name__ == "__main__":
    if sys.argv[1] == "check":
        import jax
        import spu

        print(jax.__version__, spu.__version__)
    else:
        {"compile": compile_rows, "party": main}[sys.argv[1]](*sys.argv[2:])
