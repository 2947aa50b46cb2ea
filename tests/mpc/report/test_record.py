"""The JSON of a report: back as it was, and nothing else is taken."""

import json

import pytest

from mpc.cli import main
from mpc.report.page import page
from mpc.report.parts import Member, Quality
from mpc.report.record import parse_record, read_record
from parties import ConfigurationError
from tests.mpc.report.example import example


def test_a_record_comes_back_as_it_was(tmp_path):
    record = example()
    path = tmp_path / "run.json"
    path.write_text(record.model_dump_json())
    assert read_record(path) == record


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "format"),
        ({"rank": 9}, "rank 9 of 4 members"),
        ({"rank": -1}, "rank"),
        ({"more": 1}, "more: Extra inputs are not permitted"),
        ({"begun": "yesterday"}, "begun"),
        ({"scores": {"loss": "NaN"}}, "scores.loss"),
        ({"seconds": -1}, "seconds"),
        ({"members": []}, "members"),
        ({"peers": [{"rank": 4, "sent": 0, "received": 0}]}, "rank 4 of 4 members"),
        ({"ended": {"well": False, "kind": "PeerLost", "rank": 7}}, "rank 7 of 4 members"),
        ({"session": "../../etc"}, "session"),
    ],
)
def test_other_json_is_refused_and_says_where(change, said):
    document = json.loads(example().model_dump_json()) | change
    with pytest.raises(ConfigurationError, match="is no report of a run") as error:
        parse_record(json.dumps(document).encode())
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("place", "said"),
    [("false", "the two sides of a ROC differ"), ("confusion", "a table of classes is not square")],
)
def test_parts_that_do_not_fit_together_are_refused(place, said):
    document = json.loads(example().model_dump_json())
    one = document["quality"][0]
    (one if place == "confusion" else one["rocs"][0])[place].pop()
    with pytest.raises(ConfigurationError, match=said):
        parse_record(json.dumps(document).encode())


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_is_refused(data):
    with pytest.raises(ConfigurationError, match=r"run\.json is no report of a run"):
        parse_record(data)


def test_the_command_makes_the_page_again_and_joins_ranks_of_one_run(tmp_path, capsys):
    small = {"quality": (), "layers": (), "operations": (), "timeline": (), "weights": ()}
    one, two = example(**small), example(2, **small | {"curves": example().curves[:1], "scores": {}})
    for name, record in (("one", one), ("two", two), ("other", example(1, session="ee" * 16))):
        (tmp_path / f"{name}.json").write_text(record.model_dump_json())
    out = tmp_path / "both.html"
    assert main(["report", str(tmp_path / "one.json"), "--out", str(out)]) == 0
    assert out.read_text("utf-8") == page([one])
    assert main(["report", str(tmp_path / "two.json"), str(tmp_path / "one.json"), "--out", str(out)]) == 0
    text = out.read_text("utf-8")
    assert "Report of hospital_a, a_clinic_with_a_rather_long_name" in text
    assert text.count("<h3>loss (hospital_a, a_clinic_with_a_rather_long_name)</h3>") == 1, "one figure of one curve"
    capsys.readouterr()
    assert main(["report", str(tmp_path / "one.json"), str(tmp_path / "other.json"), "--out", str(out)]) == 2
    assert "several sessions" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "none.json"), "--out", str(out)]) == 2
    assert "none.json: cannot be read" in capsys.readouterr().err


def test_names_that_svg_cannot_hold_and_turned_text_are_shown_without():
    none = {"quality": (), "layers": (), "operations": (), "timeline": (), "weights": (), "job": None, "peers": ()}
    curves = example().curves[:1]
    text = page([example(**none, curves=(curves[0].model_copy(update={"name": "lo\0ss\u202e", "unit": "a\n" * 60}),))])
    assert "<h3>loss</h3>" in text
    assert not {"\0", "\u202e"} & set(text)


def test_members_are_the_same_in_all_records():
    other = example(1)
    with pytest.raises(ConfigurationError, match="different members"):
        page([example(), other.model_copy(update={"members": other.members[:3]})])


def test_large_records_make_pages_without_the_figures_that_take_long():
    members = tuple(Member(name=f"rank {rank}", roles=("computing",)) for rank in range(101))
    none = {"layers": (), "operations": (), "timeline": (), "weights": (), "curves": (), "job": None}
    empty = tuple(Quality(of="x", rows=1, numbers={}) for _ in range(100))
    assert "Who sent what to whom" not in page([example(**none, members=members, quality=empty)])
