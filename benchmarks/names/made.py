"""Made text: templates filled with names of Faker's lists and of the gazetteer.

Prose with labels is scarce; forms, letters, records, notes and messages are where people stand in
corpora of personal data. The templates are our own (templates.txt, plain.txt without names, one a
line). `{person}` and the like are labelled with the type of SLOTS; what is in plain letters is not.
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.names.labelled import Labelled
from unrote.pii.surrogates.family import word_list

SLOTS: Mapping[str, str] = {
    "person": "PERSON",
    "name": "PERSON",
    "given": "PERSON",
    "family": "PERSON",
    "formal": "PERSON",
    "initials": "PERSON",
    "listed": "PERSON",
    "shouted": "PERSON",
    "city": "LOCATION",
    "country": "LOCATION",
    "state": "LOCATION",
    "org": "ORGANIZATION",
}


def _listed(names: str) -> list[str]:
    return names.split("|")


ROLES = _listed(
    "Managing Director|Chief Executive|Professor of Law|Head of Sales|spokesman|spokeswoman|"
    "director|chairman|President|Vice President|Software Engineer|Chief Financial Officer|"
    "Account Manager|Nurse|analyst|Minister of Finance|editor"
)
TITLES = word_list("Mr. Mrs. Ms. Dr. Mr Mrs Ms Miss Prof. Professor Judge Captain Sir Rev. Sister")
DAYS = word_list(
    "Monday Tuesday Wednesday Thursday Friday Saturday Sunday January March May October"
)
STREET_WORDS = word_list(
    "Street Avenue Road Lane Drive St. Ave Rd. Boulevard Court Way Close Place"
)
ORG_WORDS = word_list(
    "Global Pacific Northern United First Advanced Blue Bright Summit Apex Vertex Pioneer Sterling "
    "Crown Silver Golden Green Quantum Nova Alpha Delta Metro Central Premier Liberty Horizon"
)
ORG_HEADS = _listed(
    "Technologies|Systems|Solutions|Partners|Group|Holdings|Bank|Insurance|Airlines|Energy|Media|"
    "Pharmaceuticals|Foods|Motors|Logistics|Consulting|Capital|Industries|Networks|Labs|Software|"
    "Press|Books|Records|Studios|Foundation|Institute|Society|Trust|Council"
)
ORG_FORMS = _listed("Inc.|Inc|Ltd|Ltd.|LLC|plc|Corp.|Corporation|GmbH|AG|S.A.|Co.|Company|LLP")
PLACES_OF_ORGS = _listed(
    "University of {0}|{0} University|{0} General Hospital|{0} College|{0} High School|{0} City "
    "Council|Bank of {0}|{0} Police Department|{0} Times|{0} Chamber of Commerce|{0} Football Club|"
    "Museum of {0}|{0} Public Library|{0} Medical Center|{0} Institute of Technology|{0} United"
)
PARTICLES = _listed("van der|de|von|van|di|de la|al-|bin|O'|Mc|Mac|da|el")


class Values:
    """Names to fill in, drawn at random."""

    def __init__(
        self,
        draw: random.Random,
        given: Sequence[str],
        family: Sequence[str],
        cities: Sequence[str],
        countries: Sequence[str],
    ) -> None:
        self.draw, self.givens, self.families = draw, given, family
        self.cities, self.countries = cities, countries

    def given(self) -> str:
        name = self.draw.choice(self.givens)
        return f"{name}-{self.draw.choice(self.givens)}" if self.draw.random() < 0.03 else name

    def family(self) -> str:
        name, chance = self.draw.choice(self.families), self.draw.random()
        if chance < 0.05:
            particle = self.draw.choice(PARTICLES)
            return particle + ("" if particle[-1] in "-'c" else " ") + name
        return f"{name}-{self.draw.choice(self.families)}" if chance < 0.08 else name

    def name(self) -> str:
        given, family = self.given(), self.family()
        chance = self.draw.random()
        if chance < 0.1:
            return f"{given} {self.draw.choice('ABCDEFGHJKLMNPRSTW')}. {family}"
        if chance < 0.15:
            return f"{given} {self.given()} {family}"
        if chance < 0.18:
            return f"{given[0]}. {family}"
        return f"{given} {family}"

    person = name

    def formal(self) -> str:
        return self.name()

    def listed(self) -> str:
        return f"{self.family()}, {self.given()}"

    def initials(self) -> str:
        given, family = self.given(), self.family()
        return self.draw.choice([f"{given[0]}. {family}", f"{given[0]}. J. {family}"])

    def shouted(self) -> str:
        return self.name().upper()

    def city(self) -> str:
        return self.draw.choice(self.cities)

    def country(self) -> str:
        return self.draw.choice(self.countries)

    state = country

    def org(self) -> str:
        draw = self.draw
        kind = draw.random()
        if kind < 0.25:
            return draw.choice(PLACES_OF_ORGS).format(self.city())
        if kind < 0.45:
            return f"{self.family()} {draw.choice(ORG_HEADS)}"
        if kind < 0.6:
            return f"{self.family()} {draw.choice(ORG_FORMS)}"
        if kind < 0.7:
            return f"{self.family()} & {self.family()}"
        if kind < 0.9:
            form = f" {draw.choice(ORG_FORMS)}" if draw.random() < 0.4 else ""
            return f"{draw.choice(ORG_WORDS)} {draw.choice(ORG_HEADS)}{form}"
        return "".join(draw.choice("ABCDEFGHILMNOPRSTU") for _ in range(draw.choice((3, 3, 4))))

    def plain(self, slot: str) -> str:
        draw = self.draw
        made: Mapping[str, Callable[[], str]] = {
            "title": lambda: draw.choice(TITLES),
            "role": lambda: draw.choice(ROLES),
            "day": lambda: draw.choice(DAYS),
            "date": lambda: f"{draw.randint(1, 28)} {draw.choice(DAYS[7:])} {self.plain('year')}",
            "year": lambda: str(draw.randint(1820, 2025)),
            "age": lambda: str(draw.randint(18, 95)),
            "number": lambda: str(draw.randint(1, 10 ** draw.randint(1, 6))),
            "street": lambda: f"{draw.choice(self.families)} {draw.choice(STREET_WORDS)}",
        }
        return made[slot]()


_SLOT = re.compile(r"\{(\w+)\}")


def _lines(name: str) -> list[str]:
    lines = Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines()
    return [line.replace("\\n", "\n") for line in lines]


def made(values: Values, count: int) -> Iterator[Labelled]:
    """Texts of a few filled templates each."""
    templates, plain = _lines("templates.txt"), _lines("plain.txt")
    for number in range(count):
        out, spans, unsure = "", [], []
        for _ in range(values.draw.randint(1, 4)):
            others = plain if values.draw.random() < 0.2 else templates
            template = values.draw.choice(others).replace("{{", "\x01").replace("}}", "\x02")
            at = 0
            for slot in _SLOT.finditer(template):
                out += template[at : slot.start()].replace("\x01", "{").replace("\x02", "}")
                kind = SLOTS.get(slot[1])
                value = getattr(values, slot[1])() if kind else values.plain(slot[1])
                start, out = len(out), out + value
                if kind == "PERSON" and slot[1] == "listed":
                    comma = out.index(",", start)
                    spans += [(start, comma, kind), (comma + 2, len(out), kind)]
                elif kind:
                    spans.append((start, len(out), kind))
                elif slot[1] == "street":
                    unsure.append((start, len(out)))
                at = slot.end()
            out += template[at:].replace("\x01", "{").replace("\x02", "}")
            out += values.draw.choice(("\n\n", "\n", " "))
        yield Labelled(f"made {number}", out, tuple(spans), "made", tuple(unsure))


def swapped(one: Labelled, values: Values, share: float) -> Labelled:
    """A document with the words of its people's names and its places exchanged for others."""
    people: dict[str, str] = {}
    places: dict[str, str] = {}
    givens = {name.lower() for name in values.givens}
    countries = {name.lower() for name in values.countries}
    cities = {name.lower() for name in values.cities}
    out, spans, at = "", [], 0
    for start, end, kind in one.spans:
        if start < at:
            continue
        out += one.text[at:start]
        value = one.text[start:end]
        if kind == "PERSON":
            value = re.sub(
                r"[^\W\d_]{3,}", lambda m: _person_word(m[0], people, givens, values, share), value
            )
        elif kind == "LOCATION" and value not in places:
            places[value] = value
            if value.lower() in countries | cities and values.draw.random() < share:
                drawn = values.country() if value.lower() in countries else values.city()
                places[value] = drawn
        if kind == "LOCATION":
            value = places[value]
        spans.append((len(out), len(out) + len(value), kind))
        out += value
        at = end
    out += one.text[at:]
    return Labelled(f"{one.id} swapped", out, tuple(spans), one.genre)


def _person_word(
    word: str, known: dict[str, str], givens: set[str], values: Values, share: float
) -> str:
    if not word[0].isupper() or word.lower() in {"the", "of"}:
        return word
    if word.lower() not in known:
        name = word
        if values.draw.random() < share:
            name = values.draw.choice(values.givens if word.lower() in givens else values.families)
        known[word.lower()] = name
    drawn = known[word.lower()]
    return drawn.upper() if word.isupper() else drawn
