"""Jobs without processes: tables of owners, memberships, passphrases, programs."""

import hashlib
import sys
from pathlib import Path

import pytest
import torch

import mpc
from mpc.jobs import opening
from mpc.jobs.identities import hand_over, handed_over
from mpc.jobs.membership import Membership
from mpc.jobs.running import read_program, run_program
from mpc.jobs.state import write_private
from mpc.jobs.tables import feature_names, share_tables
from parties import ConfigurationError, DisagreementError
from parties.job import read_job

MEMBERS = {
    "north": '["owner", "computing", "receiver"]',
    "south": '["owner", "computing"]',
    "clinic": '["owner"]',
    "dealer": '["dealer"]',
}
ROWS = """\
[data]
split = "rows"
label = "state"
columns = [
  { name = "age", unit = 50, lowest = 0, highest = 120 },
  { name = "kind", categories = ["a", "b"] },
  { name = "state", categories = ["well", "ill", "gone"] },
]
"""
COLUMNS = """\
[data]
split = "columns"
label = "state"
columns = [
  { name = "dose", log = true, lowest = 0, highest = 9, owners = ["south"] },
  { name = "age", unit = 50, lowest = 0, highest = 120, owners = ["north"] },
  { name = "state", categories = ["well", "ill"], owners = ["clinic"] },
  { name = "kind", categories = ["a", "b"], owners = ["south"] },
]
"""


def write_job(folder, data, protocol=""):
    parties = [
        f'[[parties]]\nname = "{name}"\nroles = {roles}\naddress = "127.0.0.1:{7401 + place}"\n'
        f'fingerprint = "sha256:{place:064x}"\n'
        for place, (name, roles) in enumerate(MEMBERS.items())
    ]
    model = '[model]\nestimator = "MLPClassifier"\n[[reveals]]\nwhat = "model"\nto = ["north"]\n'
    path = folder / "job.toml"
    path.write_text(f'format = 1\nname = "small"\n{protocol}\n{"".join(parties)}{data}{model}')
    return path


def members(folder, data, tables, protocol=""):
    """A Membership for each rank; ``tables`` are CSV texts by name."""
    path = write_job(folder, data, protocol)
    job = read_job(path)
    found = []
    for name in job.names:
        table = None
        if name in tables:
            table = folder / f"{name}.csv"
            table.write_text(tables[name])
        found.append(Membership(path, job, name, table, None, None, folder / name))
    return found


def shared(all_members):
    def program(session):
        x, y = share_tables(session, all_members[session.rank])
        return session.reveal(x, to=0), session.reveal(y, to=0)

    return mpc.simulate(4, program, clients=1)[0]


def test_rows_of_owners_that_compute_and_that_do_not(tmp_path):
    tables = {
        "north": "state,age,kind\nwell,50,a\nill,25,b\n",
        "south": "age,kind,state\n75,b,gone\n",
        "clinic": "age,kind,state,more\n100,a,ill,secret\n",
    }
    everybody = members(tmp_path, ROWS, tables)
    x, y = shared(everybody)
    want = torch.tensor([[1.0, 1, 0], [0.5, 0, 1], [1.5, 0, 1], [2, 1, 0]])
    torch.testing.assert_close(x, want)
    assert y.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 0]]
    assert feature_names(everybody[0].job) == ["age", "kind=a", "kind=b"]


def test_columns_of_owners_come_in_the_order_of_the_job(tmp_path):
    tables = {
        "north": "age\n50\n25\n",
        "south": "kind,dose\na,0\nb,1.718281828\n",
        "clinic": "state\nwell\nill\n",
    }
    x, y = shared(members(tmp_path, COLUMNS, tables))
    torch.testing.assert_close(x, torch.tensor([[0.0, 1, 1, 0], [1, 0.5, 0, 1]]), atol=1e-5, rtol=0)
    assert y.tolist() == [[0], [1]]


def test_owners_of_columns_have_the_same_rows(tmp_path):
    tables = {"north": "age\n50\n25\n", "south": "kind,dose\na,0\n", "clinic": "state\nwell\nill\n"}
    with pytest.raises(ConfigurationError, match="different numbers of rows: north 2, south 1, clinic 2"):
        shared(members(tmp_path, COLUMNS, tables))


def test_a_table_that_does_not_fit_is_refused_on_every_rank(tmp_path):
    tables = {
        "north": "age,kind,state\n50,a,well\n",
        "south": "age,kind,state\n173.25,a,well\n",
        "clinic": "age,kind,state\n50,a,ill\n",
    }
    everybody = members(tmp_path, ROWS, tables)

    def program(session):
        with pytest.raises(ConfigurationError) as raised:
            share_tables(session, everybody[session.rank])
        return str(raised.value)

    for text in mpc.simulate(4, program, clients=1):
        assert "rank 1: south.csv: column 'age' has numbers outside 0 … 120" in text
        assert "173" not in text


def test_owners_have_data_and_others_have_none(tmp_path):
    path = write_job(tmp_path, ROWS)
    job = read_job(path)
    with pytest.raises(ConfigurationError, match="clinic is an owner of data in this job; want --data FILE"):
        Membership(path, job, "clinic", None, None, None, tmp_path)
    with pytest.raises(ConfigurationError, match="dealer is no owner of data in this job; want no --data"):
        Membership(path, job, "dealer", tmp_path / "x.csv", None, None, tmp_path)


def test_a_membership_passes_through_the_environment(tmp_path, monkeypatch):
    path = write_job(tmp_path, ROWS)
    state = tmp_path / "state"
    given = Membership(path, read_job(path), "north", tmp_path / "a.csv", path, path, state, "localhost:1", resume=True)
    environ = given.variables()
    assert Membership.from_environment(environ) == given
    with pytest.raises(ConfigurationError, match="runs no job"):
        Membership.from_environment({})
    path.write_text(path.read_text() + "\n")
    with pytest.raises(ConfigurationError, match="was changed since this member was started"):
        Membership.from_environment(environ)


def test_the_job_says_what_a_session_is(tmp_path, monkeypatch):
    everybody = members(tmp_path, ROWS, {name: "" for name in MEMBERS if name != "dealer"}, "[protocol]\nbits = 16\n")
    for name, value in everybody[0].variables().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=r"bits=18.*the job says 16"):
        mpc.session(bits=18)
    with pytest.raises(ConfigurationError, match="the job says 'chance'"):
        mpc.session(rounding="faithful")
    monkeypatch.setenv("JOINTFIT_JOINED", "1")
    with pytest.raises(ConfigurationError, match="a job has one session"):
        mpc.session()
    held = opening.agreed(everybody[0])
    assert held.names == ("north", "south", "clinic", "dealer")
    assert [(each.name, each.ranks, each.times) for each in held.reveals] == [("model", frozenset([0]), 1)]
    assert held.log == tmp_path / "north" / "reveals.jsonl"
    assert (held.seconds, held.bytes) == (3600, 10_000_000_000)
    kept = [opening.checkpoints(each, None) for each in everybody]
    assert [(each.folder, each.every) for each in kept] == [(None, 50)] * 4


def test_a_passphrase_is_handed_over_once(monkeypatch):
    assert hand_over(None) == {}
    for name, value in hand_over(b"correct horse").items():
        monkeypatch.setenv(name, value)
    assert handed_over() == b"correct horse"
    assert handed_over() is None


def test_the_bytes_that_were_compared_are_run(tmp_path, capsys, monkeypatch):
    (tmp_path / "beside.py").write_text("")
    program = tmp_path / "train.py"
    code = b"""
import sys
print(__name__, __file__, sys.argv, sys.modules["__main__"].__file__)
try:
    import beside
except ImportError:
    print("alone")
sys.exit(0)
"""
    program.write_bytes(code)
    assert read_program(program, hashlib.sha256(code).hexdigest()) == code
    with pytest.raises(DisagreementError, match="has the SHA-256"):
        read_program(program, hashlib.sha256(b"").hexdigest())
    with pytest.raises(ConfigurationError, match="the job wants it beside its file"):
        read_program(tmp_path / "none.py", "")
    program.write_text("raise RuntimeError")  # too late
    monkeypatch.syspath_prepend(tmp_path)
    main, path = sys.modules["__main__"], list(sys.path)
    run_program(program, code)
    assert capsys.readouterr().out == f"__main__ {program} ['{program}'] {program}\nalone\n"
    assert sys.modules["__main__"] is main
    assert sys.path == path
    with pytest.raises(SystemExit):
        run_program(program, b"import sys; sys.exit(3)")


def test_files_of_results_are_private_and_whole(tmp_path):
    write_private(tmp_path / "a", b"one")
    write_private(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"two"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    with pytest.raises(ConfigurationError, match="cannot write"):
        write_private(Path(tmp_path / "none" / "a"), b"")
