"""What protocols ask of a run is known by name, and the same from the table, the class and the registry."""

from functools import partial

import pytest

import parties
import protocols
from parties.needs import NEEDS, Needs


def test_the_table_and_the_classes_say_the_same():
    for name in protocols.names():
        if name in NEEDS:
            assert protocols.needs(name) == NEEDS[name], name
    assert protocols.Additive.needs == NEEDS["additive"]


def test_what_needs_say():
    assert str(NEEDS["additive"]) == "2 or more computing parties and a dealer"
    assert str(NEEDS["replicated"]) == "exactly 3 computing parties and no dealer"
    assert str(Needs(2, 4)) == "2 to 4 computing parties and a dealer"
    assert str(NEEDS["plain"]) == "exactly 1 computing party and no dealer"
    assert [n for n in range(6) if NEEDS["replicated"].take(n)] == [3]
    assert [n for n in range(6) if NEEDS["additive"].take(n)] == [2, 3, 4, 5]


def test_a_registered_class_says_what_it_needs():
    class Trio(protocols.Additive):
        needs = Needs(3, 3, dealer=False)

    registry = protocols.Registry()
    registry.register("trio", Trio)
    registry.register("partial", partial(partial(Trio, rounding="faithful"), bits=16))
    registry.register("made", lambda party, **options: Trio(party, 20, **options))
    assert registry.needs("trio") == registry.needs("partial") == Needs(3, 3, dealer=False)
    assert registry.needs("made") == Needs(), "a maker that says nothing has what most protocols need"


def test_names_that_are_not_there():
    registry = protocols.Registry()
    registry.register("plain", protocols.InsecurePlain)
    with pytest.raises(parties.ConfigurationError, match="'replicated' is not in this version; want one of plain"):
        registry.needs("replicated")
    with pytest.raises(parties.ConfigurationError, match="'other' is unknown; want one of plain"):
        registry.make("other")
