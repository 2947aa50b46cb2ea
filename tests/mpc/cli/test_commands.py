"""Commands that need no peers, and what they refuse."""

import datetime as dt
import json
import os
import socket
import stat
import tomllib

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import parties
from mpc.cli import main
from mpc.cli.ending import code_of, end
from mpc.jobs.state import taken
from parties.errors import LimitError
from parties.identity import certify, fingerprint, read_certificate
from tests.mpc.cli.members import Place


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("place"))


@pytest.fixture
def said(capsys, restored):
    """Runs a command; its exit code and all that it said."""

    def run(*arguments):
        capsys.readouterr()
        code = main([str(each) for each in arguments])
        out, err = capsys.readouterr()
        return code, out + err

    return run


def test_keygen(tmp_path, said):
    code, text = said("keygen", "clinic_1", "--out", tmp_path / "new", "--days", 90)
    assert code == 0
    key, certificate = tmp_path / "new" / "clinic_1.key", tmp_path / "new" / "clinic_1.crt"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    line = next(line for line in text.splitlines() if line.startswith("fingerprint = "))
    assert tomllib.loads(line)["fingerprint"] == fingerprint(read_certificate(certificate))
    left = read_certificate(certificate).not_valid_after_utc - dt.datetime.now(dt.UTC)
    assert 89 <= left.days <= 90
    assert said("fingerprint", certificate) == (
        0,
        f"{line}\nvalid until {read_certificate(certificate).not_valid_after_utc:%Y-%m-%d %H:%M} UTC\n",
    )
    code, text = said("keygen", "clinic_1", "--out", tmp_path / "new")
    assert code == 6
    assert "never overwritten" in text
    assert "Traceback" not in text
    assert said("keygen", "Clinic 1")[0] == 2


def test_keys_with_a_passphrase(tmp_path, said, monkeypatch):
    secret = tmp_path / "secret"
    secret.write_bytes(b"correct horse\n")
    assert said("keygen", "a", "--out", tmp_path, "--passphrase-file", secret)[0] == 0
    key = (tmp_path / "a.key").read_bytes()
    assert isinstance(serialization.load_pem_private_key(key, b"correct horse"), ec.EllipticCurvePrivateKey)
    (tmp_path / "empty").write_bytes(b"\n")
    assert said("keygen", "b", "--out", tmp_path, "--passphrase-file", tmp_path / "empty")[0] == 2
    code, text = said("keygen", "b", "--out", tmp_path, "--passphrase")
    assert code == 2
    assert "no terminal" in text
    answers = iter(["one", "two", "same", "same"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(answers))
    assert said("keygen", "b", "--out", tmp_path, "--passphrase")[0] == 2
    assert not (tmp_path / "b.key").exists()
    assert said("keygen", "b", "--out", tmp_path, "--passphrase")[0] == 0
    serialization.load_pem_private_key((tmp_path / "b.key").read_bytes(), b"same")


def test_init_describe_schema(tmp_path, said):
    code, text = said("init", tmp_path / "heart")
    assert code == 0
    assert f"jointfit run --job {tmp_path / 'heart' / 'job.toml'}" in text
    assert said("init", tmp_path / "heart")[0] == 2
    code, text = said("describe", "--job", tmp_path / "heart" / "job.toml")
    assert code == 0
    assert "hospital_a" in text
    assert "dealer: nothing" in text
    code, text = said("schema")
    assert code == 0
    assert {"parties", "reveals"} <= set(json.loads(text)["properties"])
    job = tmp_path / "heart" / "job.toml"
    job.write_text(job.read_text().replace("epochs", "epoch_s = [[1]], epochs"))
    code, text = said("describe", "--job", job)
    assert code == 2
    assert "job.toml:" in text


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"--as": "nobody"}, 2, "no member 'nobody'; want one of north, south, dealer"),
        ({"--as": "dealer"}, 2, "dealer is the dealer in this job; want jointfit dealer"),
        ({"--data": None}, 2, "north is an owner of data in this job; want --data FILE"),
        ({"--data": "none.csv"}, 2, "found no file none.csv"),
        ({"--key": "south.key"}, 6, "for north; want the certificate that the job names"),
        ({"--key": "none.key"}, 6, "cannot read certificate"),
        ({"--job": "none.toml"}, 2, "none.toml: cannot be read"),
        ({"--state": "north.crt"}, 2, "state folder north.crt"),
        ({"--passphrase-file": "none"}, 2, "passphrase file none"),
    ],
)
def test_what_a_party_refuses_before_it_dials(place, said, monkeypatch, change, code, text):
    monkeypatch.chdir(place.folder)
    place.job()
    options = {"--job": "job.toml", "--as": "north", "--data": "data/north.csv", "--key": "north.key"} | change
    arguments = [each for name, value in options.items() if value is not None for each in (name, value)]
    got, output = said("party", *arguments)
    assert got == code, output
    assert text in output
    assert "Traceback" not in output
    assert output.splitlines()[-1].startswith(("jointfit: ", "  what to do: "))


def test_a_dealer_has_no_data_and_the_job_names_it(place, said, monkeypatch):
    monkeypatch.chdir(place.folder)
    place.job()
    code, text = said("dealer", "--job", "job.toml", "--as", "south")
    assert code == 2
    assert "south is no dealer in this job; want jointfit party" in text
    code, text = said("dealer", "--job", "job.toml", "--key", "none.key")
    assert code == 6
    with pytest.raises(SystemExit):
        main(["dealer", "--job", "job.toml", "--data", "data/north.csv"])


def test_tables_that_do_not_fit_are_refused_without_their_values(place, said, tmp_path):
    table = tmp_path / "bad.csv"
    table.write_text("age,kind,sick\n137.1234,a,0\n41.0002,zzz9,1\n")
    arguments = place.arguments("north", place.job())
    arguments[arguments.index("--data") + 1] = str(table)
    code, text = said(*arguments)
    assert code == 2
    for part in ("lacks the columns ['dose']", "column 'age' has numbers outside 0 … 120", "column 'kind' has entries"):
        assert part in text
    assert not any(value in text for value in ("137.1234", "41.0002", "zzz9"))


def test_a_label_other_than_two_classes_is_refused(place, said, tmp_path):
    job = place.job("classes.toml")
    job.write_text(job.read_text().replace('"sick", lowest = 0, highest = 1', '"sick", lowest = 0, highest = 9'))
    table = tmp_path / "bad.csv"
    table.write_text("age,dose,kind,sick\n37,1,a,0\n41,2,b,0.5\n")
    arguments = place.arguments("north", job)
    arguments[arguments.index("--data") + 1] = str(table)
    code, text = said(*arguments)
    assert code == 2
    assert "column 'sick' holds other numbers than 0 and 1; LogisticRegression wants two classes" in text


def test_a_program_with_another_hash_is_refused(place, said):
    (place.folder / "train.py").write_text("raise SystemExit('must not run')\n")
    job = place.job("program.toml", model=f'program = "train.py"\nsha256 = "{"ab" * 32}"')
    code, text = said(*place.arguments("north", job))
    assert code == 3
    assert "train.py has the SHA-256" in text
    assert "must not run" not in text


def test_an_expired_certificate_is_refused(place, said, tmp_path):
    now = dt.datetime.now(dt.UTC)
    key = serialization.load_pem_private_key((place.folder / "north.key").read_bytes(), None)
    old = certify("north", key, now - dt.timedelta(days=9), now - dt.timedelta(days=1))
    (tmp_path / "old.crt").write_bytes(old.public_bytes(serialization.Encoding.PEM))
    job = place.job("old.toml")
    valid = fingerprint(read_certificate(place.folder / "north.crt"))
    job.write_text(job.read_text().replace(valid, fingerprint(old)))
    code, text = said(*place.arguments("north", job), "--certificate", tmp_path / "old.crt")
    assert code == 6
    assert "the certificate of north expired on" in text
    code, text = said("fingerprint", tmp_path / "old.crt")
    assert code == 0
    assert "warning: the certificate of north expired" in text


def test_one_process_at_a_time_has_a_state_folder(place, said):
    with taken(place.folder / "state" / "north") as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        code, text = said(*place.arguments("north", place.job()))
    assert code == 2
    assert f"process {os.getpid()} runs this member already" in text


def test_rehearsals_want_tables(place, said, tmp_path):
    job = place.job()
    for given, text in [
        (["north"], "--data north; want NAME=FILE"),
        (["dealer=x.csv"], "dealer owns no data in this job"),
    ]:
        code, output = said("run", "--job", job, "--data", *given)
        assert code == 2
        assert text in output
    moved = tmp_path / "job.toml"
    moved.write_bytes(job.read_bytes())
    code, output = said("run", "--job", moved)
    assert code == 2
    assert "found no table of north" in output
    code, output = said("run", "--job", job, __file__)
    assert code == 2


def test_check_alone(place, said, tmp_path):
    job = place.job()
    arguments = ["check", "--alone", *place.arguments("north", job)[1:]]
    code, text = said(*arguments)
    assert code == 0, text
    assert {line.split()[0] for line in text.splitlines()} == {"OK"}
    assert "north.csv fits the job: 41 rows" in text
    table = tmp_path / "bad.csv"
    table.write_text("age,dose,kind\n-1,2,a\n")
    arguments[arguments.index("--data") + 1] = str(table)
    (place.folder / "north.key").chmod(0o644)
    try:
        code, text = said(*arguments)
    finally:
        (place.folder / "north.key").chmod(0o600)
    assert code == 6
    assert "FAILED   key" in text
    assert "mode 0644" in text
    assert "FAILED   " + str(table) in text
    assert text.count("what to do: ") == text.count("FAILED") == 3


def test_check_of_nobody_else(place, said):
    """Each that is missing is named with its address and role."""
    arguments = ["check", *place.arguments("north", place.job())[1:], "--within", "0.3"]
    code, text = said(*arguments)
    assert code == 4
    for name, roles in [("south", "owner, computing, receiver"), ("dealer", "dealer")]:
        line = f"FAILED   {name} ({roles}; 127.0.0.1:{place.ports[name]}): it did not connect within 0.3 s"
        assert line in text
    assert f"OK       north is reached at 127.0.0.1 port {place.ports['north']}" in text
    assert said(*arguments[:-1], "-1")[0] == 2
    with socket.create_server(("127.0.0.1", place.ports["north"])):
        code, text = said(*arguments)
    assert code == 2
    assert f"FAILED   port {place.ports['north']} on 127.0.0.1 is in use" in text


def test_a_certificate_that_expires_soon_is_warned_of(place, said, tmp_path):
    assert said("keygen", "north", "--out", tmp_path, "--days", "20")[0] == 0
    job = place.job("soon.toml")
    valid = fingerprint(read_certificate(place.folder / "north.crt"))
    job.write_text(job.read_text().replace(valid, fingerprint(read_certificate(tmp_path / "north.crt"))))
    arguments = place.arguments("north", job)
    arguments[arguments.index("--key") + 1] = str(tmp_path / "north.key")
    code, text = said("check", *arguments[1:], "--alone")
    assert code == 0
    assert "WARNING  the certificate of north expires on" in text
    with taken(place.folder / "state" / "north"):  # so that it ends before it dials
        code, text = said(*arguments)
    assert "WARNING north: the certificate of north expires on" in text


def test_errors_in_the_log_and_with_a_traceback(place, said):
    arguments = place.arguments("north", place.job())
    (place.folder / "state" / "north").mkdir(parents=True, exist_ok=True)
    with taken(place.folder / "state" / "north"):
        code, text = said(*arguments, "--log-json")
        last = json.loads(text.splitlines()[-1])
        assert (last["event"], last["level"], last["code"]) == ("failed", "error", 2)
        assert last["kind"] == "ConfigurationError"
        assert "trace" not in last
        code, text = said(*arguments, "--log-json", "--log-level", "debug")
        assert "in taken" in json.loads(text.splitlines()[-1])["trace"]
        code, text = said(*arguments, "--log-level", "debug")
        assert code == 2
        assert "Traceback" in text
        code, text = said(*arguments, "--quiet")
        assert text.startswith("jointfit: state folder")


def test_exit_codes():
    expected = [
        (parties.ConfigurationError("x"), 2),
        (parties.DisagreementError("x"), 3),
        (parties.PeerLost(1, "x"), 4),
        (parties.DeadlineError("x"), 4),
        (parties.WireError("x"), 4),
        (parties.PeerFailed(1, "ValueError"), 4),
        (parties.PeerFailed(1, "LimitError"), 7),
        (parties.PeerFailed(1, "RevealRefused"), 5),
        (parties.RevealRefused("x"), 5),
        (parties.IdentityError("x"), 6),
        (LimitError("x"), 7),
        (KeyboardInterrupt(), 130),
        (SystemExit(9), 9),
        (SystemExit(), 0),
        (ZeroDivisionError("x"), 1),
    ]
    assert [(error, code_of(error)) for error, _ in expected] == expected


def test_an_error_of_a_program_shows_no_values(capsys):
    with pytest.raises(ValueError, match="63") as raised:
        float("secret 63.5")
    assert end(raised.value) == 1
    text = capsys.readouterr().err
    assert "test_commands.py:" in text
    assert "ValueError" in text
    assert "63.5" not in text


def test_log_verify_and_show(tmp_path, said):
    from mpc.agreed import Agreed
    from mpc.journal import Journal, _hash, _text

    path = tmp_path / "reveals.jsonl"
    journal = Journal(path, Agreed(bytes(32), ("north", "south"), ()), bytes(16))
    journal.write("intent", 1, "model", (4,), [0, 1], b"x")
    journal.write("done", 1, "model", (4,), [0, 1], b"x")
    journal.close()
    assert said("log", "verify", path) == (0, "2 lines, none changed, none missing before the last\n")
    code, text = said("log", "show", path)
    assert code == 0
    assert "done     model (4,) to north, south" in text
    entry = {**json.loads(path.read_bytes().splitlines()[0]), "name": "model\x1b[2J"}
    (tmp_path / "forged").write_bytes(_text({**entry, "hash": _hash(entry)}) + b"\n")
    assert said("log", "verify", tmp_path / "forged")[0] == 0
    code, text = said("log", "show", tmp_path / "forged")
    assert code == 1
    assert "not as jointfit writes it" in text
    path.write_bytes(path.read_bytes().replace(b"south", b"fouth", 1))
    code, text = said("log", "verify", path)
    assert code == 1
    assert "line 1" in text
