"""The experiments at a small size: on shares they give what plain PyTorch gives."""

import json

import pytest
import torch

import mpc
from experiments.clinical import __main__ as clinical_program
from experiments.digits import __main__ as digits_program
from experiments.fraud import __main__ as fraud_program
from experiments.fraud import config as fraud_config


def outcomes(module, arguments, tmp_path, n=3, protocol="additive"):
    options = module.parse([*arguments, "--out", str(tmp_path), "--json", str(tmp_path / "figures.json")])
    results = mpc.simulate(n, lambda session: module.program(session, options), protocol=protocol)
    assert results[1:] == [[]] * (n - 1)
    found = json.loads((tmp_path / "figures.json").read_text())
    assert [one["name"] for one in found] == [one.name for one in results[0]]
    return results[0]


def agree(one, rows):
    assert one.gap < 1e-2
    assert len(one.losses) == len(one.plain_losses)
    torch.testing.assert_close(torch.tensor(one.losses), torch.tensor(one.plain_losses), atol=1e-2, rtol=0)
    torch.testing.assert_close(one.outputs, one.plain_outputs, atol=2e-2, rtol=0)
    assert one.sent > 0
    assert one.rounds > 0
    assert rows == len(one.outputs)


of_each = pytest.mark.parametrize("protocol", ["additive", "replicated"])


@pytest.mark.parametrize(
    ("protocol", "split", "n"),
    [
        ("additive", "rows", 3),
        ("additive", "rows", 4),
        ("additive", "columns", 3),
        ("replicated", "rows", 3),
        ("replicated", "columns", 3),
    ],
)
def test_clinical(protocol, split, n, tmp_path):
    found = outcomes(clinical_program, ["--epochs", "1", "--rows", "128", "--splits", split], tmp_path, n, protocol)
    assert [one.name for one in found] == [f"logistic, {split}", f"mlp, {split}"]
    for one in found:
        agree(one, 114)
        assert abs(one.metrics["accuracy"] - one.metrics["plain acc."]) <= 0.01
        assert abs(one.metrics["AUC"] - one.metrics["plain AUC"]) <= 0.01
    assert (tmp_path / "clinical.png").stat().st_size > 10_000


@of_each
def test_digits(protocol, tmp_path):
    (one,) = outcomes(digits_program, ["--epochs", "1", "--rows", "128"], tmp_path, protocol=protocol)
    agree(one, 360)
    assert abs(one.metrics["accuracy"] - one.metrics["plain acc."]) <= 0.01
    assert one.metrics["same class"] >= 0.99


@of_each
def test_fraud(protocol, tmp_path):
    found = outcomes(fraud_program, ["--epochs", "1", "--rows", "400"], tmp_path, protocol=protocol)
    for one in found:
        agree(one, 200 if protocol == "additive" else 300)  # of two banks, or three
        assert abs(one.metrics["avg. precision"] - one.metrics["plain AP"]) <= 0.02


def test_fraud_reads_the_banks_own_files(tmp_path, capsys):
    fraud_config.generate(200, 0).to_csv(tmp_path / "bank-0.csv", index=False)
    fraud_config.generate(120, 1).to_csv(tmp_path / "bank-1.csv", index=False)
    options = fraud_program.parse(["--epochs", "1", "--table", str(tmp_path / "bank-{rank}.csv")])
    assert mpc.simulate(3, lambda session: fraud_program.program(session, options)) == [[], [], []]
    assert "on 80 test rows" in capsys.readouterr().out


def test_a_missing_file_is_named_on_every_rank(tmp_path):
    fraud_config.generate(50, 0).to_parquet(tmp_path / "bank-0.parquet")
    options = fraud_program.parse(["--table", str(tmp_path / "bank-{rank}.parquet")])
    seen = {}

    def program(session):
        try:
            session.same(session.step("start"))
            fraud_program.program(session, options)
        except mpc.JointfitError as error:
            seen[session.rank] = str(error)
            raise

    with pytest.raises(mpc.ConfigurationError, match=r"bank-1\.parquet"):
        mpc.simulate(3, program)
    assert "rank 1" in seen[0]
    assert "bank-1.parquet" in seen[0]


def test_generated_transactions_fit_the_schema_and_are_rarely_fraud():
    tables = [fraud_config.generate(4000, bank) for bank in (0, 1)]
    for frame in tables:
        x, y = fraud_config.SCHEMA.encode(frame)
        assert x.shape == (4000, fraud_config.SCHEMA.width)
        assert 0.01 < float(y.mean()) < 0.1
        assert float(x.abs().max()) < 20
    assert tables[0]["amount"].median() < tables[1]["amount"].median()
    assert fraud_config.generate(50, 0).equals(fraud_config.generate(50, 0))
