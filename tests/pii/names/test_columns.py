"""People in tables: by the header of a column, or where most of its cells are people."""

import pytest

from tests.pii.names.test_tagger import KEY, found
from unrote.pii.config import actions_for, default_config
from unrote.pii.names.columns import in_columns
from unrote.pii.recognizers import Span
from unrote.pii.scrubbing import scrub_texts

ROWS = ("1{0}Maria{0}Hoffmann{0}Kiel", "2{0}jan{0}de Vries{0}Delft", "3{0}Li{0}Wu{0}Lyon")


def people(text):
    return {name for name, type_ in found(text).items() if type_ == "PERSON"}


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    "heads", ["first_name{0}Surname", "Vorname{0}Nachname", "fname{0}last name"]
)
def test_a_header_says_where_people_stand(mark, heads):
    text = "\n".join(("id{0}" + heads + "{0}city", *ROWS, *ROWS)).format(mark)
    assert people(text) == {"Maria", "Hoffmann", "jan", "de Vries", "Li", "Wu"}


def test_a_column_of_other_things_has_no_people():
    rows = "1,Brown,Hazel\n2,Ruby,Brown\n3,Blond,Hazel\n4,Red,Amber\n"
    assert people("id,hair,eyes\n" + rows * 3) == set()


def test_what_stands_beside_a_table_is_left_to_the_tagger():
    table = "id,a,b\n1,x,y\n2,x,y\n3,x,y\n"
    text = table * 400 + "\nDear Ms. Hoffmann,\n\nkind regards\nMaria Hoffmann\n"
    assert "Maria Hoffmann" in people(text)


def test_a_text_that_is_no_table_keeps_its_people():
    spans = [Span(0, 5, 0.9)]
    assert in_columns("Maria went home.\n", spans, 0.75) == spans


def test_a_table_is_scrubbed_once():
    text = "\n".join(("id,first_name,last_name,city", *(row.format(",") for row in ROWS)))
    config, actions = default_config(), actions_for()
    (once,) = scrub_texts([text], ["a"], config, actions, KEY).texts
    assert once is not None
    assert not {"Maria", "Hoffmann", "Vries"} & set(
        once.replace("\n", ",").replace(" ", ",").split(",")
    )
    assert scrub_texts([once], ["a"], config, actions, KEY).texts == [once]
