"""Job files: what is read, and what each wrong one is told."""

import hashlib
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from parties import ConfigurationError
from parties.job import describe, job_schema, parse_job, read_job
from parties.job.model import Job
from parties.job.tables import Column, Limits, Member, Model, Protocol, Relay, Reveal
from tests.parties import jobs

EXAMPLE = Path(__file__).parents[2] / "mpc" / "jobs" / "example" / "job.toml"


def refused(text):
    with pytest.raises(ConfigurationError) as caught:
        parse_job(text if isinstance(text, bytes) else text.encode())
    return str(caught.value)


def line_of(text, what, nth=1):
    return [at for at, line in enumerate(text.splitlines(), 1) if what in line][nth - 1]


# What is read ---------------------------------------------------------------------------------------------------------


def test_a_job_is_read(tmp_path):
    text = jobs.job(top='[limits]\nseconds = 60\nbreaks = 0\n[relay]\naddress = "r.example.org:7400"')
    path = tmp_path / "job.toml"
    path.write_text(text)
    job = read_job(path)
    assert job.digest == hashlib.sha256(path.read_bytes()).digest()
    assert (job.name, job.names, job.size) == ("trial", ("hospital_a", "hospital_b", "dealer"), 3)
    assert (job.computing, job.clients, job.dealer) == (2, range(2, 2), 2)
    assert (job.owners, job.receivers, job.placeholders) == ((0, 1), (0,), ())
    assert job.rank("dealer") == 2
    assert job.member("dealer").endpoint == ("2001:db8::1", 7403)
    assert job.relay.endpoint == ("r.example.org", 7400)
    assert (job.limits.seconds, job.limits.breaks, job.limits.deadline) == (60, 0, 120)
    assert [column.name for column in job.data.features] == ["age", "stage"]
    assert job.data.target == Column(name="died", lowest=0, highest=1)
    assert job.model.parameters == {"epochs": 6, "lr": 0.05, "hidden": (16, 8)}
    with pytest.raises(ConfigurationError, match="no member 'x'; want one of hospital_a, hospital_b, dealer"):
        job.rank("x")


def test_ranks_are_computing_parties_then_clients_then_the_dealer():
    third = jobs.party("lab", ["computing"], "sha256:" + "ee" * 32, "l.example.org:1")
    job = parse_job(jobs.job([jobs.DEALER, jobs.CLIENT, jobs.HOSPITAL_B, third, jobs.HOSPITAL_A]).encode())
    assert job.names == ("hospital_b", "lab", "hospital_a", "clinic", "dealer")
    assert (job.computing, job.clients, job.dealer, job.owners, job.receivers) == (3, range(3, 4), 4, (0, 2, 3), (2, 3))


def test_a_hospital_that_owns_data_without_computing():
    labs = [jobs.party(f"lab_{n}", ["computing"], "sha256:" + f"{n}" * 64, f"lab{n}.example.org:1") for n in (1, 2)]
    reveals = '[[reveals]]\nwhat = "model"\nto = ["clinic"]\n'
    job = parse_job(jobs.job([*labs, jobs.CLIENT, jobs.DEALER], reveals=reveals).encode())
    assert (job.names, job.owners) == (("lab_1", "lab_2", "clinic", "dealer"), (2,))
    text = describe(job)
    assert "clinic (rank 2) brings data, of which it sends one random share to each computing party and rec" in text
    assert "clinic: model (once)" in text
    assert "lab_1: nothing" in text


def test_columns_apart():
    columns = jobs.COLUMNS.replace('name = "age"', 'name = "age"\nowners = ["hospital_a"]')
    for name in ("stage", "died"):
        columns = columns.replace(f'name = "{name}"', f'name = "{name}"\nowners = ["hospital_b"]')
    job = parse_job(jobs.job(split="columns", columns=columns).encode())
    assert [column.owners for column in job.data.columns] == [("hospital_a",), ("hospital_b",), ("hospital_b",)]


def test_a_job_never_changes_and_has_a_digest_only_from_a_file():
    job = parse_job(jobs.job().encode())
    with pytest.raises(ValueError, match="frozen"):
        job.name = "other"
    assert parse_job(jobs.job().encode()).digest == job.digest != parse_job(jobs.job().encode() + b"\n").digest
    with pytest.raises(ConfigurationError, match="no digest"):
        _ = Job.model_validate(tomllib.loads(jobs.job())).digest


def test_windows_line_ends():
    text = jobs.job()
    assert parse_job(text.replace("\n", "\r\n").encode()).model_dump() == parse_job(text.encode()).model_dump()
    assert refused(text.replace("epochs", "epochs.x").replace("\n", "\r\n")).startswith(
        f"job.toml:{line_of(text, 'epochs')}: model.parameters.epochs: got a table; want"
    )


# What is refused ------------------------------------------------------------------------------------------------------


def change(old, new):
    text = jobs.job(top='[protocol]\nname = "additive"\n[limits]\nseconds = 60')
    assert old in text
    return text.replace(old, new, 1)


FIELDS = [
    ("format = 1", "format = 2", "format", "got 2; want 1"),
    ("format = 1", "", "format", "got nothing; want the version of this format"),
    ('name = "trial"', 'name = "A trial"', "name", 'got "A trial"; want 1 to 63 of a-z, 0-9, _ and -, beginning'),
    ('name = "trial"', 'nome = "trial"', "nome", "got an unknown field; want name, perhaps"),
    ('name = "additive"', 'name = "shamir"', "protocol.name", 'got "shamir"; want "additive" or "replicated"'),
    ('name = "additive"', 'name = "plain"', "protocol.name", 'got "plain"; want "additive" or "replicated"'),
    ('name = "additive"', "bits = 4", "protocol.bits", "got 4; want greater than or equal to 8"),
    ('name = "additive"', "bits = 20.0", "protocol.bits", "got 20.0; want a whole number"),
    ('name = "additive"', 'rounding = "up"', "protocol.rounding", 'got "up"; want "chance" or "faithful"'),
    ("seconds = 60", "seconds = 0", "limits.seconds", "got 0; want greater than 0"),
    ("seconds = 60", "seconds = true", "limits.seconds", "got true; want a number"),
    ("seconds = 60", "seconds = nan", "limits.seconds", "got nan; want"),
    ("seconds = 60", "seconds = inf", "limits.seconds", "got inf; want less than or equal to 2592000"),
    ("seconds = 60", 'seconds = "60"', "limits.seconds", 'got "60"; want a number'),
    ("seconds = 60", "bytes = 1e9", "limits.bytes", "got 1000000000.0; want a whole number"),
    ("seconds = 60", "bytes = 0x1_0000_0000_0000_0000", "limits.bytes", "got a whole number of 65 bits; want 64 bits"),
    ("seconds = 60", "seconds = 07:32:00", "limits.seconds", "got a date or time; want a number"),
    ("seconds = 60", "deadline = 40", "limits.deadline", "got 40; want more than 40: breaks, and 10 s"),
    ("a.example.org:7401", "a.example.org", "parties[0].address", "; want host:port, such as hospital-a.ex"),
    ("a.example.org:7401", "a.example.org:70000", "parties[0].address", "; want a port from 1 to 65535"),
    ("a.example.org:7401", "0.0.0.0:7401", "parties[0].address", "; want a host that the others can dial"),
    ("a.example.org:7401", "10.0.0.256:7401", "parties[0].address", "; want four numbers from 0 to 255"),
    ("b.example.org:7402", "A.example.org:7401", "parties[1].address", 'got "a.example.org:7401" a second time; want'),
    (jobs.B, jobs.B.upper(), "parties[1].fingerprint", "; want sha256: and 64 hexadecimal digits in lower case"),
    (jobs.B, jobs.A, "parties[1].fingerprint", f'got "{jobs.A}" a second time; want a value of its own'),
    ('name = "hospital_b"', 'name = "hospital_a"', "parties[1].name", 'got "hospital_a" a second time; want'),
    ('name = "hospital_b"', 'name = "relay"', "parties[1].name", 'got "relay"; want another name'),
    ('["owner", "computing"]', '["owner", "boss"]', "parties[1].roles[1]", 'got "boss"; want "owner", "computing"'),
    ('["owner", "computing"]', '["owner", "owner"]', "parties[1].roles", 'got ["owner", "owner"]; want each role once'),
    ('["owner", "computing"]', "[]", "parties[1].roles", "got none; want 1 at least"),
    ('["owner", "computing"]', '"owner"', "parties[1].roles", 'got "owner"; want an array'),
    ('["owner", "computing"]', '["owner"]', "parties", "got 1 with the role computing; want 2 to 8 computing parties"),
    ('["dealer"]', '["dealer", "owner"]', "parties[2].roles", 'got ["dealer", "owner"]; want ["dealer"] alone'),
    ('["dealer"]', '["computing"]', "parties", 'got no dealer; want one member with roles = ["dealer"]'),
    ('["owner", "computing"]', '["dealer"]', "parties[2].roles", 'got a second dealer, besides "hospital_b"; want one'),
    ('label = "died"', 'label = "dead"', "data.label", 'got "dead"; want the name of one of data.columns'),
    ('name = "stage"', 'name = "age"', "data.columns[1].name", 'got "age" a second time; want'),
    ('name = "stage"', 'name = " stage"', "data.columns[1].name", 'got " stage"; want 1 to 100 printable characters'),
    ('"I", "II"', '"I", "I"', "data.columns[1].categories[1]", 'got "I" a second time; want'),
    ('"I", "II", "III"', '"I"', "data.columns[1].categories", 'got ["I"]; want two categories at least'),
    ('name = "stage"', 'name = "stage"\nunit = 2', "data.columns[1].unit", "got unit of a column with categories"),
    ("unit = 10", "unit = 0", "data.columns[0].unit", "got 0; want greater than 0"),
    ("unit = 10", "unit = inf", "data.columns[0].unit", "got inf; want a finite number"),
    ("unit = 10", "unit = 1e-6", "data.columns[0].highest", "got 120 in units of 1e-06; want less than 2^21 "),
    ("unit = 10", "unit = 1e-320", "data.columns[0].highest", "; want less than 2^21 units"),
    ("unit = 10", "unit = 1\norigin = 1e7", "data.columns[0].lowest", "; want less than 2^21 units away from 1e+07"),
    ("unit = 10", "origin = inf", "data.columns[0].origin", "got inf; want a finite number"),
    ('name = "stage"', 'name = "stage"\norigin = 2', "data.columns[1].origin", "got origin of a column with"),
    ("highest = 120", "highest = 0", "data.columns[0].highest", "got 0; want more than lowest, which is 0"),
    ("highest = 120", "highest = nan", "data.columns[0].highest", "got nan; want a number, inf or -inf"),
    ("lowest = 0", "log = true", "data.columns[0].log", "got log with lowest = -inf; want lowest above -1"),
    ("lowest = 0", 'owners = ["hospital_a"]', "data.columns[0].owners", 'got ["hospital_a"]; want no owners with'),
    ('split = "rows"', 'split = "columns"', "data.columns[0].owners", 'got no owners of "age"; want one owner'),
    ('estimator = "LogisticRegression"', 'program = "t.py"', "model.sha256", "got nothing; want the program's SHA-256"),
    ('estimator = "LogisticRegression"', "", "model", "got neither estimator nor program; want one of the two"),
    ("[model]", '[model]\nprogram = "t.py"', "model", "got both estimator and program; want one of the two"),
    ("[model]", f'[model]\nsha256 = "{"0" * 64}"', "model.sha256", "got a hash without a program; want none"),
    ("[model]", '[model]\nsha256 = "0"', "model.sha256", 'got "0"; want 64 hexadecimal digits in lower case'),
    ("[model]", '[model]\nprogram = "/t.py"', "model.program", 'got "/t.py"; want a path below the job\'s folder'),
    ("[model]", '[model]\nprogram = "a/../t.py"', "model.program", '; want a path below the job\'s folder'),
    ("epochs = 6", "epochs = { a = 1 }", "model.parameters.epochs", "got a table; want a truth value, a number"),
    ("epochs = 6", "epochs = inf", "model.parameters.epochs", "got inf; want a finite number"),
    ("epochs = 6", '"a b" = 6', 'model.parameters."a b"', 'got "a b"; want a name as in Python'),
    ("hidden = [16", "hidden = [[16]", "model.parameters.hidden", "got an array of 2; want an array of 1000 values"),
    ('to = ["hospital_a"]', 'to = ["hospital_b"]', "reveals[0].to[0]", 'got "hospital_b"; want a member with the role'),
    ('to = ["hospital_a"]', 'to = ["nobody"]', "reveals[0].to[0]", 'got "nobody"; want a member with the role'),
    ('to = ["hospital_a"]', "to = []", "reveals[0].to", "got none; want 1 at least"),
    ('to = ["hospital_a"]', 'to = ["hospital_a", "hospital_a"]', "reveals[0].to", "; want each member once"),
    ('what = "model"', 'what = "weights"', "reveals[0].what", 'got "weights"; want one of model, loss, score'),
    ('what = "model"', 'what = "model"\ntimes = 0', "reveals[0].times", "got 0; want greater than or equal to 1"),
    ('what = "model"', 'what = "model"\nshape = [3, 0]', "reveals[0].shape[1]", "got 0; want sizes from 1 to"),
    ("[limits]", "[limits]\nhours = 1", "limits.hours", "got an unknown field; want one of seconds, bytes, deadline"),
]


IDS = [f"{each[2]}-{at}" for at, each in enumerate(FIELDS)]


@pytest.mark.parametrize(("old", "new", "field", "says"), FIELDS, ids=IDS)
def test_each_wrong_field_is_named_with_its_line(old, new, field, says):
    text = change(old, new)
    said = refused(text).splitlines()
    found = [line for line in said if f": {field}: " in line and says in line]
    assert found, said
    line = int(re.match(r"job\.toml:(\d+): ", found[0]).group(1))
    last = field.rpartition(".")[2].partition("[")[0].strip('"')
    if not says.startswith(("got nothing", "got neither", "got both", "got no ", "got 1 with")):
        assert last in text.splitlines()[line - 1], (line, text.splitlines()[line - 1])
    assert len(said) <= 5, said


def test_all_errors_are_listed_in_the_order_of_lines():
    text = jobs.job(top='[limits]\nseconds = "a"\nbreaks = -1\nother = 3').replace(jobs.D, "zero")
    assert [line.split(": ")[:2] for line in refused(text).splitlines()] == [
        ["job.toml:4", "limits.seconds"],
        ["job.toml:5", "limits.breaks"],
        ["job.toml:6", "limits.other"],
        [f"job.toml:{line_of(text, 'zero')}", "parties[2].fingerprint"],
    ]


def test_a_thousand_errors_are_cut():
    said = refused("\n".join(f"k{n} = 1" for n in range(1000))).splitlines()
    assert len(said) == 51
    assert said[-1] == "job.toml: and 955 more"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"format = 1\nname = \n", "job.toml:2: got no TOML: invalid value"),
        (b"format = 1\na = [\n", "job.toml:2: got no TOML: "),
        (b"format = 1\nformat = 1\n", "job.toml:2: got no TOML: cannot overwrite a value"),
        (b"format = 1\nname = '\xff'\n", "job.toml:2: got bytes that are no UTF-8; want UTF-8 text"),
        (b"#" * ((1 << 20) + 1), "job.toml:1: got more than 1,048,576 bytes; want"),
        (b"\n\na = " + b"[" * 100_000, "job.toml:3: got more than 8 arrays and tables in each other; want fewer"),
        (b"\na = " + b"{a = " * 100_000, "job.toml:2: got more than 8 arrays and tables in each other; want fewer"),
        (b"\n" + b"a." * 400_000 + b"b = 1", "job.toml:2: got a key with more than 8 parts; want fewer"),
        (b"a = " + b"9" * 5000, "job.toml:"),
        (b"a = 0x" + b"f" * 5000, "job.toml:1: a: got a whole number of 20000 bits; want 64 bits at most"),
        (b"", "job.toml:1: data: got nothing; want what the owners bring"),
    ],
)
def test_what_is_no_job_file(data, says):
    assert refused(data).startswith(says)


def test_files_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigurationError, match=f"{path.name}: cannot be read: "):
            read_job(path)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_job_is_read_or_refused(data):
    """Lines of a job doubled, dropped, cut, or filled with other values: a Job, or a ConfigurationError with lines."""
    lines = jobs.job(top='[limits]\nseconds = 60\n[relay]\naddress = "r.example.org:1"').splitlines()
    values = [line.partition("=")[2] for line in lines if "=" in line]
    values += [" -1", " []", " {}", ' "\\u0000"', " 1e400", " [[[]]]"]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        how = data.draw(st.sampled_from(["double", "drop", "cut", "value", "bytes"]))
        if how == "double":
            lines.insert(data.draw(st.integers(0, len(lines))), lines[at])
        elif how == "drop":
            lines[at] = ""
        elif how == "cut":
            lines[at] = lines[at][: data.draw(st.integers(0, max(len(lines[at]) - 1, 0)))]
        elif how == "value":
            lines[at] = lines[at].partition("=")[0] + "=" + data.draw(st.sampled_from(values))
        else:
            lines[at] += data.draw(st.text(max_size=4))
    said = ""
    try:
        assert describe(parse_job("\n".join(lines).encode("utf-8", "surrogatepass")))
    except ConfigurationError as error:
        said = str(error)
    assert all(re.match(r"job\.toml:\d+: |job\.toml: and \d+ more", line) for line in said.splitlines())


# The schema and the words ---------------------------------------------------------------------------------------------


def conforms(value, schema, root):
    """Whether a value of TOML conforms to a schema of the kind that pydantic writes."""
    if "$ref" in schema:
        return conforms(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema:
        return any(conforms(value, each, root) for each in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return value in schema.get("enum", [schema.get("const")])
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "number": (int, float)}
    if "type" not in schema or schema["type"] == "null":
        return False
    if not isinstance(value, kinds[schema["type"]]) or (isinstance(value, bool) and schema["type"] != "boolean"):
        return False
    if schema["type"] == "object":
        properties = schema.get("properties", {})
        others = schema.get("additionalProperties", {})
        return set(schema.get("required", [])) <= set(value) and all(
            conforms(item, properties[key], root) if key in properties else others is not False
            for key, item in value.items()
        )
    if schema["type"] == "array":
        fits = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
        return fits and all(conforms(item, schema["items"], root) for item in value)
    if schema["type"] in ("integer", "number"):
        low, high = schema.get("minimum", value), schema.get("maximum", value)
        return low <= value <= high and value > schema.get("exclusiveMinimum", value - 1)
    return "pattern" not in schema or re.match(schema["pattern"].replace(r"\p{C}", r"\x00-\x1f"), value) is not None


def test_a_program_may_bring_a_protocol():
    model = f'[model]\nprogram = "train.py"\nsha256 = "{"0" * 64}"\n'
    for parties in (jobs.EVERYBODY, jobs.EVERYBODY[:-1]):  # whether it needs a dealer is its own matter
        job = parse_job(jobs.job(parties, top='[protocol]\nname = "shamir"', model=model).encode())
        assert job.protocol.name == "shamir"
        assert "The protocol is shamir, with 20 fraction bits" in describe(job)
    assert "got no dealer; want" in refused(jobs.job(jobs.EVERYBODY[:-1], model=model))
    assert 'protocol.name: got "two words"' in refused(jobs.job(top='[protocol]\nname = "two words"', model=model))


def test_a_protocol_says_who_takes_part():
    """`replicated`: three computing parties, any number of clients, and no dealer."""
    third = jobs.party("lab", ["computing"], "sha256:" + "ee" * 32, "lab.example.org:7404")
    top = '[protocol]\nname = "replicated"'
    three = [jobs.HOSPITAL_A, jobs.HOSPITAL_B, third]
    job = parse_job(jobs.job(three, top=top).encode())
    assert (job.computing, job.dealer, job.names) == (3, None, ("hospital_a", "hospital_b", "lab"))
    assert parse_job(jobs.job([*three, jobs.CLIENT], top=top).encode()).clients == range(3, 4)
    lines = describe(job).splitlines()
    assert "  This holds if all three parties follow the program, and no two of them pool what they hold." in lines
    with_dealer = jobs.job([*three, jobs.DEALER], top=top)
    line = line_of(with_dealer, "roles", 4)
    want = "no dealer: the protocol replicated has exactly 3 computing parties and no dealer"
    assert refused(with_dealer) == f'job.toml:{line}: parties[3].roles: got ["dealer"]; want {want}'
    for number in (2, 4):
        some = [*three, third.replace("lab", "lab2").replace("ee", "ef").replace(":7404", ":7405")][:number]
        text = refused(jobs.job(some, top=top))
        assert f"got {number} with the role computing; want exactly 3 computing parties: the protocol repl" in text
    additive = describe(parse_job(jobs.job().encode()))
    assert "one of them keeps its shares to itself,\n  and the dealer deals as it should" in additive


@pytest.mark.parametrize("given", ["", "\n[checkpoints]\nevery = 7"])
def test_a_protocol_whose_shares_cannot_be_kept_has_no_checkpoints(given):
    top = '[protocol]\nname = "authenticated"'
    want = "0, no checkpoints: shares of the protocol authenticated are of no use to another session"
    assert f"checkpoints.every: got {7 if given else 50}; want {want}" in refused(jobs.job(top=top + given))
    job = parse_job(jobs.job(top=f"{top}\n[checkpoints]\nevery = 0").encode())
    assert "No shares are written to disk." in describe(job)


def test_the_schema_takes_jobs_and_refuses_others():
    schema = job_schema()
    json.loads(json.dumps(schema, allow_nan=False))
    with_a_client = jobs.job([jobs.HOSPITAL_A, jobs.HOSPITAL_B, jobs.CLIENT, jobs.DEALER])
    for text in (EXAMPLE.read_text("utf-8"), jobs.job(), with_a_client):
        assert conforms(tomllib.loads(text), schema, schema)
    single = ("format", "nome", "protocol.bits", "protocol.rounding", "model.program", "parties[1].fingerprint")
    wrong = [(old, new) for old, new, field, says in FIELDS if field.startswith(single) and "second time" not in says]
    wrong += [(old, new) for old, new, _, says in FIELDS if says.startswith(("got an unknown", "got none"))]
    assert len(wrong) > 12
    for old, new in wrong:
        assert not conforms(tomllib.loads(change(old, new)), schema, schema), new


def models(model):
    yield model
    for field in model.model_fields.values():
        annotation = field.annotation
        while not isinstance(annotation, type) and getattr(annotation, "__args__", None):
            annotation = annotation.__args__[0]
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from models(annotation)


def test_each_field_is_described_and_its_examples_are_right():
    seen = list(models(Job))
    assert {Protocol, Limits, Relay, Member, Column, Model, Reveal} < set(seen)
    for model in seen:
        for name, field in model.model_fields.items():
            assert field.description, (model, name)
            nested = {each.__name__ for each in models(model)} - {model.__name__}
            if not field.examples:
                assert any(kind in str(field.annotation) for kind in nested), (model, name)
            for example in field.examples or ():
                document = {name: example}
                wrong = []
                try:
                    model.model_validate(document)
                except ValueError as error:
                    wrong = [each for each in error.errors() if each["loc"][0] == name]
                assert not wrong, (model, name)


def test_the_readme_lists_every_field():
    readme = (Path(sys.modules["parties"].__file__).parent / "README.md").read_text("utf-8")
    table = readme[readme.index("## The job") :]
    for model in models(Job):
        for name in model.model_fields:
            assert f"`{name}`" in table, (model.__name__, name)


def test_the_example_in_plain_words():
    job = read_job(EXAMPLE)
    text = describe(job)
    assert text.startswith(f"Job breast-cancer, SHA-256 {job.digest.hex()}\n")
    for line in [
        "  hospital_a (rank 0) brings data, computes on shares and receives results.",
        "  The certificates of hospital_a, hospital_b and dealer are placeholders: this job can be rehearsed, not run.",
        "  hospital_b dials hospital_a (hospital-a.example.org:7401).",
        "  hospital_a and hospital_b each bring a table of rows with these 31 columns:",
        "  The estimator LogisticRegression of jointfit is trained.",
        "  hospital_b: model (once), loss (at most 10 times), score (once)",
        "  dealer: nothing",
        "  A link may be gone for 30 s; after that the run ends with an error everywhere.",
    ]:
        assert line in text.splitlines(), line
    assert all(len(line) <= 140 for line in text.splitlines())


def test_everything_of_a_job_shows_in_its_description():
    """Of two jobs that differ in anything that matters to somebody who signs, the descriptions differ, too."""
    top = '[limits]\nseconds = 60\n[checkpoints]\nevery = 5\n[relay]\naddress = "r.example.org:1"'
    lab = jobs.party("lab", ["computing"], "sha256:" + "ee" * 32)
    plain = jobs.job([jobs.HOSPITAL_A, jobs.HOSPITAL_B, jobs.CLIENT, lab, jobs.DEALER], top=top)
    changes = [
        ("seconds = 60", "seconds = 61"),
        ("seconds = 60", "bytes = 5"),
        ("every = 5", "every = 0"),
        ("r.example.org", "s.example.org"),
        ("a.example.org", "c.example.org"),
        (jobs.A, jobs.A.replace("a1", "a2")),
        ('["owner", "computing"]', '["computing"]'),
        ("unit = 10", "unit = 11"),
        ("highest = 120", "highest = 130"),
        ("highest = 120", "highest = 120\nlog = true"),
        ('"III"', '"IV"'),
        ("LogisticRegression", "MLPClassifier"),
        ("epochs = 6", "epochs = 7"),
        ('to = ["hospital_a"]', 'to = ["hospital_a", "clinic"]'),
        ('to = ["hospital_a"]', 'to = ["hospital_a"]\ntimes = 2'),
        ('to = ["hospital_a"]', 'to = ["hospital_a"]\nshape = [1]'),
        ('what = "model"', 'what = "loss"'),
    ]

    def words(text):
        return describe(parse_job(text.encode())).partition("\n")[2]

    for old, new in changes:
        assert old in plain
        assert words(plain.replace(old, new, 1)) != words(plain), new
