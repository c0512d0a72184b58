"""Redactions in decisions of courts and in released records (FOIA): rows 35, 36 and 38–40."""

import re
from collections.abc import Iterator

from unrote.pii.deid.context import (
    GERMAN_LAW,
    in_sentence,
    mentioned,
    of_sentence,
    of_tag,
    quoted_in_code,
)
from unrote.pii.deid.shapes import Candidate, Evidence, Shape

# Row 35: [redact]…[/redact]

_OPENS = re.compile(r"\[redact\]")
_CLOSES = re.compile(r"\[/redact\]")


def _weigh_redact(candidate: Candidate) -> Iterator[Evidence]:
    if _OPENS.search(candidate.area.text) and _CLOSES.search(candidate.area.text):
        yield "opening and closing tag in the text", 2
    yield from quoted_in_code(candidate)
    yield from mentioned(candidate)


# Row 36: (b)(6), (b)(7)(C); b6, b7C

_STATUTE = re.compile(
    r"(?:\b(?:U\.?S\.?C|C\.?F\.?R|Rule|Rules|[Ss]ections?|[Ss]ec|§+|[Cc]lauses?|[Pp]aragraphs?|"
    r"[Pp]ara|"
    r"[Ss]ubsections?|[Aa]rticles?|[Aa]rt|[Uu]nder|[Ss]ee|[Ee]xemptions?|[Tt]hen|[Tt]heorem|Act|"
    r"[Mm]eans|[Ii]tems?|[Pp]art|[Ss]tep|[Cc]ondition|[Pp]ursuant to|[Aa]s defined in|"
    r"[Pp]urposes of)\.?[ ]?"
    r"[\w.()]{0,16}[ ]?)$"
)
_OTHER_ITEMS = re.compile(r"\((?:a|c|d|e|f|g)\)[ ]?\(\d{1,2}\)|^\s*\([a-c1-9]\) ", re.MULTILINE)
_HEADER = re.compile(
    r"(?:^|[\n;,:])[ \t>]*(?:From|To|Cc|Bcc|Sent|Subject|Cell|Desk|Phone|Tel|Name|Remarks|Fax|"
    r"Email|"
    r"E-mail|Office|Mobile|Detained at|Officer|[A-Z][\w -]{1,20})[ ]?:[^\n:]{0,60}$"
)
_AGENT = re.compile(
    r"\b(?:SA|SSA|TFO|AUSA|S/A|ASAC|RAC|Agents?|Officers?|Inspectors?|Investigators?|Detectives?|"
    r"Badge|[Dd]etainee|[Dd]eponent|[Uu]ndersigned|[Ss]ubject|[Cc]ontacted|[Ii]nterviewed|man|"
    r"woman|"
    r"cc|re:?|/s/|Judge|Deputy|Lt|Maj|Col|[Dd]irector|[Cc]ertify that)[.,:]?[ ]$"
)
_ANOTHER = r"\(b\)[ ]?\([1-9]\)(?:\([A-F]\))?"
_BESIDE = re.compile(rf"(?:{_ANOTHER}[,;/]?[ ]?)+$")
_THEN = re.compile(rf"[,;/]?[ ]?{_ANOTHER}")
_VERB = re.compile(
    r"[ ](?:advised|stated|said|noted|called|reported|swears|objected|refused|observed|has no|"
    r"interviewed|asked|told|wrote|agreed|replied|at the|on behalf|from|indicated|requested)\b|"
    r"[’']s\b|@|[ ]?[–-](?:\n|$)|,? (?:GS-\d|and)"
)


def _weigh_exemption(candidate: Candidate) -> Iterator[Evidence]:
    first = _BESIDE.search(candidate.before)
    beside = first is not None or _THEN.match(candidate.after) is not None
    before = candidate.before[: first.start()] if first else candidate.before
    if re.search(r"[\w)]\Z", before):
        yield "part of a citation", -6
    elif _STATUTE.search(before):
        yield "a law is cited", -4
    if beside:
        yield "two exemptions side by side", 1.5
    if _HEADER.search(candidate.before) and not _STATUTE.search(candidate.before):
        yield "in the header of a letter", 2.5
    elif _AGENT.search(candidate.before):
        yield "after a title of an official", 2.5
    if _VERB.match(candidate.after):
        yield "before a verb, as its subject", 1.5
    if re.search(r"\(\w+ \Z", candidate.before):
        yield "an expression in Lisp", -3
    items = candidate.area.distinct(_OTHER_ITEMS)
    if items:
        yield "other items of a list", -min(4.0, 1.5 * items)
    if re.match(
        r" as amended|[ ]?(?:follows|shall|applies|through)|[),]? (?:an agency|sponsors)",
        candidate.after,
    ):
        yield "the wording of a statute", -4
    yield from in_sentence(candidate)
    yield from mentioned(candidate)


_BARE = re.compile(r"\bb[67][A-F]?\b")
_OTHER_BITS = re.compile(r"(?<!\w)b[0-489](?!\w)|(?<!\w)[ac-h][1-8](?!\w)|\bb[67] ?=|= ?b[67]\b")


def _weigh_bare_exemption(candidate: Candidate) -> Iterator[Evidence]:
    if candidate.area.distinct(_OTHER_BITS):
        yield "b0 to b5 in the text: bits, bytes, squares or branches", -5
    if candidate.area.distinct(_BARE) > 1:
        yield "two exemptions in the text", 2
    if _VERB.match(candidate.after) or _AGENT.search(candidate.before):
        yield "before a verb, or after a title of an official", 1.5
    if re.match(r"[ ]b[67][A-F]?\b", candidate.after) or re.search(
        r"\bb[67][A-F]?[ ]$", candidate.before
    ):
        yield "two side by side", 1
    if re.search(r"(?<!b)[\d.][ ]?$|[=+(\[-]$", candidate.before) or re.match(
        r"[ ]?[=+\-.)\]\[]\w", candidate.after
    ):
        yield "a square of a chess board, a variable", -4
    yield from in_sentence(candidate)
    yield from mentioned(candidate)


def _exempt(candidate: Candidate) -> str:
    """Exemptions 6 and 7(C) are personal; the label before may say more."""
    if not re.search(r"6|7\)?\(?C", candidate.marker):
        return ""
    return _labelled(candidate) or "PERSON"


def _labelled(candidate: Candidate) -> str:
    label = re.search(r"(?:^|\n)[ \t>]*([\w -]{1,20}):[^\n:]{0,40}$", candidate.before)
    if label is None:
        return ""
    if re.search(r"cell|desk|phone|tel|mobile|fax", label[1], re.IGNORECASE):
        return "PHONE_NUMBER"
    return "ID" if re.search(r"number|\bno\b", label[1], re.IGNORECASE) else ""


# Row 38: [Localité 1], M. [B] [A], [Date naissance 1]

_FRENCH_TAG = (
    r"Localité|Adresse|Dates? ?(?:de )?(?:naissance|décès)|Lieu ?(?:de )?naissance|Établissement|"
    r"Etablissement|Immatriculation|Compagnie|Courriel|Numéro identifiant|Téléphone|Profession|"
    r"Nationalité|Société|Nom|Prénom|Banque|Ville|Commune|Pays|Magistrat|Cabinet|Association|"
    r"Compte bancaire|Site|Marque|Localisation|Numéro de téléphone|Employeur|Entreprise|Organisme"
)
_FRENCH_LAW = re.compile(
    r"\b(?:cour|arrêt|pourvoi|tribunal|appel|appelante?|domiciliée?|née? le|ordonnance|requête|"
    r"demeurant|soutient|attendu|litige|avocat|greffe|jugement|défende(?:ur|resse)|intimée?|"
    r"consorts|expert|procureur|épou[sx]e?|assurée?|condamne|code de procédure|réclame|"
    r"nationalité|conduit par|immatriculée?|société|caisse|mineurs?|chambre|conseil)\b",
    re.IGNORECASE,
)
_FRENCH_ROLE = re.compile(
    r"(?:\b(?:MM?|Mmes?|Mlle|Me|Dr|Pr|SCI|SARL|SAS|SA|EURL)\b\.?|S\.A\.S\.?|S\.A\.R\.L\.?|"
    r"S\.C\.I\.?|"
    r"S\.A\.|\b(?:Monsieur|Madame|Mademoiselle|[Dd]octeur|[Cc]onsorts|[Éé]pou[sx]e?|[Ee]nfants?|"
    r"[Ss]ociété|[Mm]ineurs? :|[Vv]euve|[Nn]ée|[Pp]ère :|[Mm]ère :|conduit par|procureur c/|c/|"
    r"[Aa]ssociation|[Cc]abinet|[Bb]anque|[Ff]amille|[Tt]émoin|représenté par|et) ?:?)[ ]$"
)
_LETTER_CHAIN = re.compile(r"(?:\[[A-Z]\][ -])+$")


def _weigh_french_tag(candidate: Candidate) -> Iterator[Evidence]:
    if candidate.area.distinct(_FRENCH_LAW) > 1:
        yield "a decision in French", 1
    yield from mentioned(candidate)


def _weigh_letter(candidate: Candidate) -> Iterator[Evidence]:
    words = candidate.area.distinct(_FRENCH_LAW)
    yield ("a decision in French", min(words, 3)) if words else ("no word of a French court", -4)
    chain = _LETTER_CHAIN.search(candidate.before)
    before = candidate.before[: chain.start()] if chain else candidate.before
    if _FRENCH_ROLE.search(before):
        yield "after a title or a role", 3
    elif (
        re.search(r"(?:^|[\n;:])[ ]*$", before) and re.match(r"[ -]\[[A-Z]\]", candidate.after)
    ) or (chain and re.search(r"(?:^|[\n;:])[ ]*$", before)):
        yield "two letters where a name is expected", 1.5
    elif chain is None and not re.match(r"[ -]\[[A-Z]\]", candidate.after):
        yield "no title and no other letter", -1
    if re.search(r"[«“\"][^»”\"]*$", candidate.line_before) and re.match(
        r"[^«“\"]*[»”\"]", candidate.line_after
    ):
        yield "in a quotation", -2
    if re.search(r"\b(?:note|fig|figure|réf|cf)\.? ?$", before, re.IGNORECASE):
        yield "a reference", -4
    yield from mentioned(candidate)


def _weigh_party(candidate: Candidate) -> Iterator[Evidence]:
    words = candidate.area.distinct(_FRENCH_LAW)
    yield ("a decision in French", min(words, 3)) if words else ("no word of a French court", -4)


def _organisation(candidate: Candidate) -> str:  # noqa: ARG001 (a StandsFor)
    return "ORGANIZATION"


def _letter_stands_for(candidate: Candidate) -> str:
    company = re.search(r"(?:société|SCI|SARL|SAS|S\.A\.S\.|S\.A\.)[ ]$", candidate.before)
    return "ORGANIZATION" if company else "PERSON"


def _french_tag_stands_for(candidate: Candidate) -> str:
    return of_tag(candidate.match["tag"].replace("Adresse", "Address"))


# Row 39: [verdachte], [medeverdachte 1]

_DUTCH_TAG = (
    r"(?:mede)?verdachten?|(?:mede)?daders?|slachtoffers?|getuigen?|"
    r"benadeelden?(?: partij(?:en)?)?|"
    r"aangevers?|aangeefster|eisers?|eiseres(?:sen)?|gedaagden?|appellant(?:e|en)?|"
    r"geïntimeerden?|verzoekers?|verzoekster|verweerders?|verweerster|betrokkenen?|"
    r"belanghebbenden?|"
    r"naam|achternaam|voornaam|voornamen|adres|straat(?:naam)?|plaats|woonplaats|geboorteplaats|"
    r"geboortedatum|geboortedag|geboortejaar|bedrijf|bedrijfsnaam|kenteken|telefoonnummer|"
    r"rekeningnummer|nummer|persoon|kind|minderjarigen?|moeder|vader|man|vrouw|partner|land|"
    r"nationaliteit|parketnummer|BV|stichting|school|instelling|tolk|advocaat|werkgever|"
    r"werknemer|alias|e-mailadres|datum"
)
_DUTCH_LAW = re.compile(
    r"\b(?:rechtbank|gerechtshof|hof|verdachte|aangifte|officier van justitie|raadsman|vonnis|"
    r"arrest|tenlastegelegde|bewezen|verklaard|verklaart|verklaring|zitting|politie|geboren|"
    r"wonende|heeft|eiser|gedaagde|slachtoffer|getuige|werd|woning|hij|zij|van|het|een|zijn)\b",
    re.IGNORECASE,
)
_PARTY = re.compile(
    r"verda|dader|slach|getui|benad|aange|eiser|gedaa|appell|geïnt|verzoe|verwe|betrok|belang"
)


def _weigh_dutch(candidate: Candidate) -> Iterator[Evidence]:
    words = candidate.area.distinct(_DUTCH_LAW)
    if words < 2:
        yield "hardly a Dutch word", -4
    else:
        yield "a Dutch text", min(words, 4) / 2
    if _PARTY.search(candidate.marker) or candidate.match["number"]:
        yield "a party to a case, or numbered", 1
    if re.search(r"[“„\"'(][^”\"')]{0,20}$", candidate.before) and re.match(
        r"[”\"']", candidate.after
    ):
        yield "quoted by itself", -1.5
    if re.search(
        r"\b(?:vul|invullen|sjabloon|formulier|velden|tussen haken|vervang\w*|[Oo]ndergetekende)\b",
        candidate.line,
    ):
        yield "a form to be filled in", -3
    yield from mentioned(candidate)


_DUTCH_TYPES = (
    (r"adres|straat|plaats|land|woon", "LOCATION"),
    (r"datum|dag|jaar", "DATE_TIME"),
    (r"bedrijf|BV|stichting|school|instelling|werkgever", "ORGANIZATION"),
    (r"telefoon", "PHONE_NUMBER"),
    (r"nummer|kenteken", "ID"),
    (r"nationaliteit", ""),
)


def _dutch_stands_for(candidate: Candidate) -> str:
    if "e-mail" in candidate.marker:
        return "EMAIL_ADDRESS"
    found = (stands_for for words, stands_for in _DUTCH_TYPES if re.search(words, candidate.marker))
    return next(found, "PERSON")


# Row 40: …, ... and X. as names

_DOTS = r"(?:\.\.\.|…)"
_GERMAN = re.compile(
    rf"(?:[A-ZÄÖÜ]{_DOTS}|(?<![.\w]){_DOTS}(?: ?- ?{_DOTS}(?: {_DOTS})?)?|"
    r"(?<![\w.§„\"-])[A-ZÄÖÜ]\.|(?<=„)[A-Z]\.?(?=“)|(?<![\w.§-])[A-ZÄÖÜ])(?![\w]|\.\w\.|[-/]\w)"
    rf"|(?<![.\w]){_DOTS}(?=straße|weg|platz)"
)
_GERMAN_ROLE = re.compile(
    r"(?:\b(?:Herrn?|Frau|Familie|Eheleute|Zeug(?:e|in|en)|Angeklagten?[rn]?|Angeschuldigten?|"
    r"Kläger(?:in|s)?|"
    r"Beklagten?|Beschuldigten?|Firma|Fa|Rechtsanw[aä]lt(?:e|in|en)?|Dr|Prof|POK|PHK|PK|KHK|"
    r"Halter(?:in)?|Kind(?:es)?|Sohn|Tochter|Verfolgten?|Geschädigten?|Sachverständigen?|Mutter|"
    r"Nebenkläger(?:in)?|Richter(?:in)?|Mandant(?:in)?|Betroffenen?|Nachbarn?|Antragsteller(?:in)?|"
    r"Ehefrau|Ehemann|Lokal|Gaststätte|Betreuer(?:in)?|Polizeibeamt(?:e|en|in))\.?[ ]„?)$"
)
_GERMAN_VALUE = re.compile(
    r"(?:\bgeboren(?:e|en|er)? am|\bgeb\.(?: am)?|\bwohnhaft(?: in)?|\bNr\.|\bAz\.:?|\bKennzeichen|"
    r"\bAktenzeichen|\bKonto|\bVertrag|\bam|\bStraße|\bTel\.:?|\bin der|\bNummer),?[ ]$"
)
_GERMAN_FORM = re.compile(
    r"(?:straße|str\.|weg\b|platz\b|[ ](?:GmbH|AG|KG|OHG|UG|e\.V\.|SE|Straße)\b)"
)
_GERMAN_PLACE = re.compile(r"\b(?:in|bei|nach|aus|zu|von|mit|und|,)[ ]„?$")


def _weigh_german(candidate: Candidate) -> Iterator[Evidence]:
    words = candidate.area.distinct(GERMAN_LAW)
    if words == 0:
        yield "no word of a German court", -6
    else:
        yield "words of a German court", 1 if words == 1 else 2
    dots = candidate.marker[-1] in ".…" and len(candidate.marker.rstrip(".…")) == 0
    if _GERMAN_ROLE.search(candidate.before):
        yield "after a title or a role", 3
    elif _GERMAN_VALUE.search(candidate.before):
        yield "where a date, a location or a number is expected", 2 if dots else 0.5
    elif _GERMAN_PLACE.search(candidate.before):
        yield "after a preposition", 1.5 if dots or len(candidate.marker) > 1 else 0.5
    if _GERMAN_FORM.match(candidate.after):
        yield "before the rest of a name", 3
    if dots and re.search(r"^\.?\d{4}|^ \d{4}", candidate.after):
        yield "before a year", 1.5
    if dots and re.search(r"[(„\"]$|\[$", candidate.before):
        yield "an omission in a quotation", -3
    if dots and re.match(r"[ ]?[\"“”]", candidate.after):
        yield "an unfinished sentence", -2
    if re.search(
        r"\b(?:Abs|Art|Figur|Tafel|Anlage|Satz|Ziffer|Buchst|Kap|Sei|Punkt)\.?[ ]$",
        candidate.before,
    ):
        yield "a letter that numbers a section", -4


_GERMAN_TYPES = (
    (r"\b(?:geboren\w* am|geb\.|am)[ ]$", "DATE_TIME"),
    (r"\b(?:Nr\.|Az\.|Kennzeichen|Konto|Aktenzeichen)[ ]$", "ID"),
    (r"\b(?:Firma|Lokal|Fa\.)[ ]„?$", "ORGANIZATION"),
    (r"\b(?:in|wohnhaft|nach|aus)(?: der)?,?[ ]$", "LOCATION"),
)


def _german_stands_for(candidate: Candidate) -> str:
    if re.match(r"straße|str\.|weg|platz", candidate.after):
        return "LOCATION"
    if re.match(r"[ ](?:GmbH|AG|KG|OHG|UG|SE)\b", candidate.after):
        return "ORGANIZATION"
    found = (
        stands_for for words, stands_for in _GERMAN_TYPES if re.search(words, candidate.before)
    )
    return next(found, "PERSON")


# Row 65: A.________ of Swiss courts, M. X... of French before 2019, DIRECCION000 of Spanish ones

_SWISS_LAW = re.compile(
    r"\b(?:Bundesgericht|Tribunal (?:fédéral|cantonal)|Kantons?|Beschwerde|Vorinstanz|recours|"
    r"recouru|arrêt|Tribunale federale|ricorso|Urteil|Verfügung|IV-Stelle|Staatsanwaltschaft)",
)


def _weigh_swiss(candidate: Candidate) -> Iterator[Evidence]:
    words = candidate.area.distinct(_SWISS_LAW) + candidate.area.distinct(GERMAN_LAW)
    yield ("words of a Swiss court", min(words, 3)) if words else ("none of a court", -3)
    if candidate.is_alone:
        yield "a line of its own", -2


def _swiss_stands_for(candidate: Candidate) -> str:
    company = re.match(r"[ ](?:AG|SA|GmbH|Sàrl|KG|Holding|Versicherung|Bank)\b", candidate.after)
    return "ORGANIZATION" if company else "PERSON"


def _weigh_old_french(candidate: Candidate) -> Iterator[Evidence]:
    words = candidate.area.distinct(_FRENCH_LAW)
    yield ("a decision in French", min(words, 3)) if words else ("no word of a French court", -4)


_SPANISH_TYPES = (
    (r"NUM|MATRICULA|CUENTA|TELEFONO|BASTIDOR|REGISTRO", "ID"),
    (r"FECHA", "DATE_TIME"),
    (r"EMPRESA|ENTIDAD|BANCO|SOCIEDAD|COMPAÑIA|ASOCIACION", "ORGANIZATION"),
    (r"PERSONA|NOMBRE|MENOR", "PERSON"),
)
_SPANISH_PLACES = (
    "DIRECCION|CALLE|PLAZA|AVENIDA|LOCALIDAD|CARRETERA|URBANIZACION|EDIFICIO|PARAJE|PARTIDO|FINCA|"
    "POBLACION|LUGAR|HOSPITAL|CAMINO|PASEO|BARRIO"
)
_SPANISH = "|".join((*(words for words, _ in _SPANISH_TYPES), _SPANISH_PLACES))
_SPANISH_WORDS = re.compile(
    r"(?<!\w)(?:el|la|los|las|de|del|que|con|por|nº|don|doña|juzgado)(?!\w)"
)


def _weigh_spanish(candidate: Candidate) -> Iterator[Evidence]:
    words = candidate.area.distinct(_SPANISH_WORDS)
    yield ("a text in Spanish", min(words, 3)) if words > 1 else ("hardly a Spanish word", -4)
    yield from quoted_in_code(candidate)


def _spanish_stands_for(candidate: Candidate) -> str:
    found = (type_ for words, type_ in _SPANISH_TYPES if re.match(words, candidate.marker))
    return next(found, "LOCATION")


SHAPES = (
    Shape(
        "[redact]", "35", "CAP", "cap", 1.5, re.compile(r"\[/?redact\]"), _weigh_redact,
        r"\[/?redact\]", of_sentence,
    ),
    Shape(
        "exemption", "36", "FOIA", "foia", -1.5,
        re.compile(r"\(b\)[ ]?\([1-9]\)(?:[ ]?\([A-F]\))?(?!\((?!b\))[a-z0-9]{1,4}\))"),
        _weigh_exemption,
        r"\(b\) ?\([1-9]\)", _exempt,
    ),
    Shape(
        "bare exemption", "36", "FOIA", "foia", -3, re.compile(r"(?<![\w.#-])b[67][A-F]?(?!\w)"),
        _weigh_bare_exemption, r"(?:^|[\s(,;])b[67][A-F]?(?:[ ,;'.]|$)", _exempt,
    ),
    Shape(
        "French tag", "38", "French courts", "french", 2.5,
        re.compile(rf"\[(?P<tag>{_FRENCH_TAG}|X{{4,12}})(?:(?<=X)\d{{2}}| \d{{1,3}})\]"),
        _weigh_french_tag, r"\[[A-Z?][^\]\n]{2,30}\d\]", _french_tag_stands_for,
    ),
    Shape(
        "letter in brackets", "38", "French courts", "french", -4.5,
        re.compile(r"(?<![\w\]\\])\[[A-Z]\](?![(\[\w])"),
        _weigh_letter, r"\[[A-Z]\]", _letter_stands_for,
    ),
    Shape(
        "party in brackets", "38", "French courts", "french", -2,
        re.compile(
            r"(?:société|SCI|SARL|SAS|S\.A\.S\.|S\.A\.|association|banque|compagnie)[ ]"
            r"(?P<span>\[\d{1,2}\])(?![(\[\w])"
        ),
        _weigh_party,
        r"(?:[Ss]oci[^\n]{2,4}|SCI|SARL|SAS|S\.|anque|ation|gnie) \[[0-9]", _organisation,
    ),
    Shape(
        "Dutch party", "39", "Dutch courts", "dutch", 0,
        re.compile(rf"\[(?P<tag>{_DUTCH_TAG})(?P<number> \d{{1,3}}| [A-Z]\b)?\](?![(\[])",
        re.IGNORECASE),
        _weigh_dutch, rf"\[(?:{_DUTCH_TAG})[ \]]", _dutch_stands_for,
    ),
    Shape(
        "German letter or dots", "40", "German courts", "german", -2.5, _GERMAN, _weigh_german,
        r"\.\.\.|\?|(?:^|[^A-Za-z0-9.])[A-Z](?:\.|[^A-Za-z0-9.]|$)", _german_stands_for,
        needs="german law",
    ),
    Shape(
        "letter and a line", "65", "Swiss courts", "swiss", 0,
        re.compile(r"(?<![\w.])[A-Z]{1,2}\._{4,12}(?!\w)"), _weigh_swiss, r"[A-Z]\.____",
        _swiss_stands_for,
    ),
    Shape(
        "letter and dots", "65", "French courts before 2019", "french", -0.5,
        re.compile(
            r"(?:\bMM?\.|\b(?:Mmes?|Mlle|Monsieur|Madame|Mademoiselle|époux|épouse|veuve|consorts|"
            r"née|docteur|Me|et))[ ](?P<span>[A-Z](?:\.\.\.|…))(?!\w)"
        ),
        _weigh_old_french, r"[a-z.] [A-Z](?:\.\.\.|\?)(?:[^A-Za-z?]|$)", _letter_stands_for,
    ),
    Shape(
        "word and three digits", "65", "Spanish courts", "spanish", 0.5,
        re.compile(rf"(?<![\w-])(?:{_SPANISH})\d{{3}}(?!\w)"), _weigh_spanish,
        rf"(?:{_SPANISH})[0-9]{{3}}", _spanish_stands_for,
    ),
)  # fmt: skip
