"""What stood there, or that it is gone, in brackets and in a language's own words: rows 59 and 60.

`[Name geschwärzt]`, `[nom]`, `[censurado]`, `[omissis]`; English ones without a number stand in
pii.deid.tags.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from unrote.pii.deid.context import after_title, in_prose, mentioned, quoted_in_code
from unrote.pii.deid.shapes import Candidate, Evidence, Shape


class _Language(NamedTuple):
    """gone: words that say so; weak: of these the ones that tools print as well. before: words
    that precede names and places. words: such as every text in the language has.
    """

    people: str
    places: str
    others: str
    gone: str
    weak: str
    before: str
    words: str


_LANGUAGES = {
    "en": _Language(
        r"(?:first |last |full |sur|middle |user)?names?|surname|person|speaker's name",
        r"(?:home |street )?address|location|city|town|village|suburb|place|street",
        r"(?:e-?mail|phone|mobile|telephone|account|passport)(?: number| address)?|"
        r"(?:personal|identifying|(?:potentially |personally )?identif(?:ying|iable)|private|"
        r"sensitive|confidential) (?:information|details?|data)|organi[sz]ation request email",
        r"redacted|withheld|anonymi[sz]ed|de-?identified|pseudonymi[sz]ed|suppressed",
        r"removed|deleted|omitted|hidden|blanked|concealed",
        r"by|to|with|from|in|at|of|for|near|called|named|and|told|asked|met",
        r"the|and|was|that|with|his|her|they|from|said",
    ),
    "de": _Language(
        r"(?:vor-? und nach|vor|nach|familien|zu)?name[n]?|person(?:enname)?",
        r"(?:wohn)?ort|adresse|anschrift|stadt|straße|ortsname|wohnung",
        r"telefonnummer|e-?mail(?:-adresse)?|geburtsdatum|datum|firma|personenbezogene daten",
        r"geschwärzt|anonymisiert|unkenntlich gemacht|pseudonymisiert|zensiert",
        r"entfernt|gelöscht|ausgelassen|weggelassen|geändert",
        r"von|mit|bei|an|in|aus|nach|über|für|und|traf|herrn?|frau|dass|durch",
        r"der|das|und|ist|nicht|mit|sie|wurde|eine?|im|von|ich|erst|auch|dort|über|zug|nach|ging",
    ),
    "fr": _Language(
        r"(?:pré)?noms?(?: et prénoms?| de famille)?|prénom nom|personne",
        r"villes?|lieux?|adresse|commune|rue|domicile",
        r"téléphone|courriel|date(?: de naissance)?|société|données? personnelles?|donnée",
        r"caviardée?s?|anonymisée?s?|occultée?s?|masquée?s?|censurée?s?|pseudonymisée?s?",
        r"supprimée?s?|retirée?s?|effacée?s?|omise?s?",
        r"avec|de|du|à|par|chez|pour|et|que|qu'|monsieur|madame|mme|m\.|selon",
        r"le|la|les|des|est|dans|une?|que|pas|elle|il|été|du|aux?|à|ai|sa|sur|qui|depuis|trois|ans",
    ),
    "es": _Language(
        r"nombres?(?: y apellidos?)?|apellidos?|persona",
        r"ciudad|direcci(?:ó|o)n|lugar|domicilio|calle|localidad|municipio",
        r"tel(?:é|e)fono|correo(?: electr(?:ó|o)nico)?|fecha(?: de nacimiento)?|empresa|"
        r"datos? personal(?:es)?|datos? protegidos?",
        r"censurad[oa]s?|anonimizad[oa]s?|tachad[oa]s?|testad[oa]s?|protegid[oa]s?",
        r"omitid[oa]s?|suprimid[oa]s?|eliminad[oa]s?|borrad[oa]s?",
        r"con|de|del|a|por|en|para|y|que|se[ñn]ora?|sr\.|sra\.|don|do[ñn]a|según",
        r"el|la|los|las|que|una?|en|del|fue|por|con|su|desde|hace|hasta|ayer|años?|muy|ha",
    ),
    "pt": _Language(
        r"nomes?(?: completo)?|apelidos?|sobrenomes?|pessoa",
        r"cidade|endere(?:ç|c)o|morada|localidade|bairro|rua",
        r"telefone|e-?mail|data de nascimento|empresa|dados? pessoa(?:l|is)",
        r"censurad[oa]s?|anonimizad[oa]s?|tarjad[oa]s?|ocultad[oa]s?",
        r"omitid[oa]s?|suprimid[oa]s?|removid[oa]s?|apagad[oa]s?",
        r"com|de|do|da|por|em|para|e|que|senhora?|sr\.|sra\.|segundo|ao",
        r"os|que|uma|em|da|não|foi|por|seu|sua|há|ele|ela|até|mas|ontem|anos?|diz|foram",
    ),
    "it": _Language(
        r"nom[ei]|cognom[ei]|nome e cognome|persona",
        r"citt(?:à|a)|indirizzo|luogo|comune|residenza",
        r"telefono|data di nascita|azienda|societ(?:à|a)|dat[io] personal[ei]",
        r"omissis|oscurat[oaie]|anonimizzat[oaie]|censurat[oaie]|omess[oaie]",
        r"rimoss[oaie]|cancellat[oaie]|eliminat[oaie]",
        r"con|di|del|della|da|dal|a|in|per|e|che|signora?|sig\.|dott\.|secondo",
        r"il|la|le|che|una?|non|della?|è|sono|con|dal?|ha|ho|anni?|sul|nel|alla|ieri|stat[oa]|tre",
    ),
    "nl": _Language(
        r"(?:voor|achter|familie)?na(?:am|men)|persoon",
        r"(?:woon)?plaats|adres|stad|straat|locatie|dorp",
        r"telefoonnummer|e-?mailadres|geboortedatum|datum|bedrijf|persoonsgegevens",
        r"geanonimiseerd|weggelakt|gelakt|onleesbaar gemaakt|afgeschermd|gecensureerd",
        r"verwijderd|weggelaten",
        r"met|van|bij|in|uit|aan|door|voor|en|dat|heer|mevrouw|sprak|over|te|naar",
        r"de|het|een|en|niet|van|zij|hij|werd|dat|op|aan|ik|naar|jaar|met|haar|mijn|twee|keer",
    ),
    "north": _Language(
        r"(?:förn|eftern|for)?(?:namn|navn)|imię(?: i nazwisko)?|nazwisko|jméno(?: \w{3,20})?|"
        r"příjmení",
        r"ort|stad|sted|adress?e?|adresa|miasto|adres|bydliště",
        r"telefonnumm?er|data urodzenia|osobní údaje(?: \w{3,20})?|personuppgift(?:er)?",
        r"sladdet|maskat|maskerad|anonymiser(?:ad|et|t)|anonymizov(?:áno|án)|zanonimizowano|"
        r"utajněno|duomenys neskelbtini",
        r"borttaget|fjernet|usunięto|odstraněno",
        r"med|i|på|av|fra|til|till|och|og|om|z|ze|od|do|dla|w|že|s|v|u|žalobce|vitnet|bytem",
        r"och|att|är|det|som|jag|jeg|på|og|ikke|nie|się|jest|že|ir|inte|seg|nowym|uvedl|vitnet|soud",
    ),
}
_FORM = re.compile(
    r"\bhereby\b|\bundersigned\b|\[(?:your|my|insert|enter|ihr|votre|su|seu)\b|position of|"
    r"\bplease (?:enter|fill)|\bDear \[(?:full |first |last )?name\]|Sehr geehrt|\btragen Sie\b|"
    r"soussigné|sur l[’']honneur|\bYo, \[|declaro\b|\bEu, \[|sottoscritt|dichiar[oa]\b|"
    r"[Oo]ndergetekende|verklaart hierbij|\bbitte\b[^\n]{0,60}(?:ein|aus)\b|\bvul\b|\binvullen\b|"
    r"\btemplate\b|\bplaceholder\b|\bformular|\bname\]\.(?:\[|js)",
    re.IGNORECASE,
)
_PATTERN_SIGN = re.compile(r"[+*?{.(/\w-]")


def _either(kind: str) -> str:
    return "|".join(getattr(language, kind) for language in _LANGUAGES.values())


_WHAT = f"{_either('people')}|{_either('places')}|{_either('others')}"
_GONE = f"{_either('gone')}|{_either('weak')}"
_BRACKET = re.compile(
    rf"\[[ ]?(?:(?P<what>{_WHAT})(?:[ ](?P<gone>{_GONE}))?|(?P<alone>{_GONE}))"
    r"(?:[ ](?:\d{1,3}|[A-Z]))?[ ]?\](?![(\[:])|"
    r"\((?P<parens>omissis|duomenys neskelbtini)\)",
    re.IGNORECASE,
)


class _Words(NamedTuple):
    """Of a language: expressions of its words, as in _Language; `what` and `gone` match a whole."""

    before: re.Pattern[str]
    words: re.Pattern[str]
    what: re.Pattern[str]
    gone: re.Pattern[str]


_OF = {
    name: _Words(
        re.compile(rf"\b(?:{language.before})[ ]\Z", re.IGNORECASE),
        re.compile(rf"(?<!\w)(?:{language.words})(?!\w)", re.IGNORECASE),
        re.compile(rf"(?:{language.people}|{language.places}|{language.others})\Z", re.IGNORECASE),
        re.compile(rf"(?:{language.gone}|{language.weak})\Z", re.IGNORECASE),
    )
    for name, language in _LANGUAGES.items()
}
_WEAK = re.compile(rf"(?:{_either('weak')})\Z", re.IGNORECASE)


def _languages_of(match: re.Match[str]) -> list[str]:
    """Those whose words the marker has."""
    if match["parens"]:
        return ["it" if match["parens"].lower() == "omissis" else "north"]
    what, gone = match["what"], match["gone"] or match["alone"]
    return [
        name
        for name, language in _OF.items()
        if (not what or language.what.match(what)) and (not gone or language.gone.match(gone))
    ]


def _is_of_one_language(match: re.Match[str]) -> bool:
    return bool(_languages_of(match))


def _weigh(candidate: Candidate) -> Iterator[Evidence]:
    match = candidate.match
    spoken = {name: candidate.area.distinct(_OF[name].words) for name in _languages_of(match)}
    language = max(spoken, key=lambda name: spoken[name])
    yield from _weigh_words(match, language)
    yield from _weigh_syntax(candidate)
    if spoken[language] < 2 and ((match["what"] and not match["gone"]) or match["parens"]):
        yield "hardly a word of its language", -3
    elif spoken[language] >= 2 and language != "en":
        yield "a text in its language", 1
    if after_title(candidate):
        yield "after a title or an address", 2
    elif any(_OF[name].before.search(candidate.before) for name in spoken):
        yield "after a word that precedes names and places", 1.5
    yield from in_prose(candidate)
    yield from quoted_in_code(candidate)
    yield from mentioned(candidate)


def _weigh_words(match: re.Match[str], language: str) -> Iterator[Evidence]:
    """Evidence of what the marker says."""
    gone = match["gone"] or match["alone"]
    if match["what"] and gone:
        yield "it names what was removed", 2.5
    elif match["alone"]:
        yield ("a word of tools, too", -1.5) if _WEAK.match(gone) else ("a word of redaction", 1.5)
    elif match["parens"]:
        yield "a word of courts", 1.5
    elif language == "en":
        yield "an English word that templates have", -2.5
    if match["what"] and not gone and " " in match["what"]:
        yield "two words", 1


def _weigh_syntax(candidate: Candidate) -> Iterator[Evidence]:
    """Evidence of forms and of code."""
    if re.search(r"[\w\[\])\\.$%=/{'\"]\Z", candidate.before) or (
        _PATTERN_SIGN.match(candidate.after) and not re.match(r"\.(?:\s|\Z)", candidate.after)
    ):
        yield "an index, a path or a class of characters", -5
    if _FORM.search(candidate.line):
        yield "a form to be filled in", -5
    if candidate.is_alone and not (candidate.match["what"] and candidate.match["gone"]):
        yield "a line of its own", -3


_OTHER_TYPES = (
    (r"mail|courriel|correo", "EMAIL_ADDRESS"),
    (r"phone|mobile|tele?f|t[ée]l[ée]", "PHONE_NUMBER"),
    (r"account|passport", "ID"),
    (r"dat(?:e|um|a (?:de|di|urod))|fecha|geburts|geboorte", "DATE_TIME"),
    (r"firma|soci[ée]t|empresa|azienda|bedrijf", "ORGANIZATION"),
)
_PEOPLE = re.compile(rf"(?:{_either('people')})\Z", re.IGNORECASE)
_PLACES = re.compile(rf"(?:{_either('places')})\Z", re.IGNORECASE)


def _stands_for(candidate: Candidate) -> str:
    what = candidate.match["what"] or ""
    if _PEOPLE.match(what):
        return "PERSON"
    if _PLACES.match(what):
        return "LOCATION"
    found = (type_ for words, type_ in _OTHER_TYPES if re.match(words, what, re.IGNORECASE))
    return next(found, "PERSON" if not what and after_title(candidate) else "")


# Row 60: omissis of Italian courts, without brackets

_ITALIAN_LAW = re.compile(
    r"\b(?:ricorso|corte|tribunale|sentenza|avvocato|imputat[oa]|residente|nat[oa]|difes[oa]|"
    r"condanna|cassazione|appello|parte|procura|giudice)\b",
    re.IGNORECASE,
)


def _weigh_omissis(candidate: Candidate) -> Iterator[Evidence]:
    words = candidate.area.distinct(_ITALIAN_LAW)
    yield ("words of an Italian court", min(words, 3)) if words else ("none of a court", -4)
    if re.search(r"[.\[(]\Z", candidate.before):
        yield "an omission in a quotation", -2
    yield from mentioned(candidate)


SHAPES = (
    Shape(
        "words in brackets", "59", "generic", "languages", -0.5, _BRACKET, _weigh,
        rf"\[ ?(?:{_WHAT}|{_GONE})[ \]]|\((?:omissis|duomenys)", _stands_for,
        accepts=_is_of_one_language,
    ),
    Shape(
        "omissis", "60", "Italian courts", "languages", -1,
        re.compile(r"(?<![\w\[(])OMISSIS(?![\w\])])"), _weigh_omissis, r"OMISSIS",
    ),
)  # fmt: skip
