"""Notes that names were changed, posts and users of forums that are gone, and the bare word
REDACTED: rows 61–64.
"""

import re
from collections.abc import Iterator

from unrote.pii.deid.context import (
    after_title,
    in_prose,
    in_sentence,
    mentioned,
    of_sentence,
    quoted_in_code,
)
from unrote.pii.deid.shapes import Candidate, Evidence, Shape

# Row 61: (name changed), (Name von der Redaktion geändert), (le prénom a été changé)

_CHANGED = "|".join(
    (
        r"(?:the |his |her |their )?(?:real )?(?:first |last |full )?names? (?:ha(?:s|ve) been )?"
        r"(?:changed|altered)",
        r"(?:not |aren't |isn't )(?:his|her|their|the|a) real names?|a pseudonym|pseudonyms?|"
        r"(?:a )?fictitious names?",
        r"(?:alle )?namen? (?:wurden? )?(?:(?:von der|durch die) redaktion )?(?:ge|ver)ändert|"
        r"name(?:n)? ist geändert|richtiger name der redaktion bekannt",
        r"(?:les? |tous les |son )?(?:pré)?noms? (?:(?:a|ont) été )?(?:changés?|modifiés?)|"
        r"(?:pré)?noms? d[’']emprunt|(?:pré)?noms? fictifs?",
        r"(?:los )?nombres? (?:han sido |ha sido )?"
        r"(?:ficticios?|cambiados?|modificados?|supuestos?)",
        r"(?:os )?nomes? (?:foram |foi )?(?:fictícios?|alterados?|trocados?|modificados?)",
        r"(?:il |i )?nom[ei] (?:è |sono )?(?:di fantasia|inventat[oi])",
        r"(?:een )?gefingeerde na(?:am|men)|na(?:am|men) (?:is |zijn )?(?:gefingeerd|veranderd|"
        r"gewijzigd)|fictieve na(?:am|men)|niet (?:zijn|haar|hun) echte na(?:am|men)",
    )
)
_NOTE = re.compile(
    rf"\((?:\*{{1,2}} ?)?(?:{_CHANGED})(?:[ ,][^()\n]{{0,60}})?\)|"
    rf"\[(?:\*{{1,2}} ?)?(?:{_CHANGED})(?:[ ,][^\[\]\n]{{0,60}})?\](?!\()|"
    rf"^(?P<starred>[ \t]*\*{{1,2}}[ ]?)(?P<span>(?:{_CHANGED})[^\n.*]{{0,80}}(?:\.|\*{{1,2}})?)",
    re.IGNORECASE | re.MULTILINE,
)
_THINGS = re.compile(
    r"\b(?:variables?|functions?|methods?|class(?:es)?|parameters?|files?|fields?|columns?|hosts?|"
    r"modules?|packages?|options?|types?|servers?|domains?|tables?|flags?|macros?|branch(?:es)?)\b|"
    r"\.py\b|\.h\b|\bversion\b|\bAPI\b",
    re.IGNORECASE,
)
_AFTER_NAME = re.compile(r"\b[^\W\d_a-zß-ÿ][^\W\d_]+(?:[ ][^\W\d_]\.)?,?[ ]\Z")


def _weigh_note(candidate: Candidate) -> Iterator[Evidence]:
    if candidate.match["starred"] is not None:
        yield "a note with an asterisk", 1
    elif _AFTER_NAME.search(candidate.before):
        yield "after a name", 2
    else:
        yield "not after a name", -3
    if _THINGS.search(candidate.line):
        yield "names of things", -4
    yield from in_prose(candidate)
    yield from quoted_in_code(candidate)


_SENTENCE = re.compile(
    r"(?:(?<=[.!?][\"”’)] )|(?<=[.!?] )|(?<![^\n]))"
    r"(?P<span>[*_(]{0,2}(?:(?:Please )?(?:Note|NOTE|Disclaimer|NB|N\.B\.)"
    r"(?::| that)? )?(?:(?:All|Some|The|Most|Patient|Patients'|Their|all|some|the|certain) )?"
    r"(?:(?:first|last|real|patient|people's|children's) )?[Nn]ames?(?: of [\w' ]{3,40}?)?"
    r"(?: (?:and|or) (?:other )?[\w ]{3,40}?)? (?:have|has|were) been (?:changed|altered)"
    r"(?P<why>[^.\n]{0,100})[.)*_]{0,3})"
    r"|(?<![^\n])(?P<other>[*(]{0,2}(?:Alle |Die |Les |Tous les |Los |Os |I |De )?"
    r"(?:Namen?|(?:pré)?noms|nombres|nomes|nomi|namen) (?:wurden|ont été|han sido|foram|sono stati|"
    r"zijn) [^\n.]{0,60}(?:geändert|changés|modifiés|cambiados|modificados|alterados|modificati|"
    r"cambiati|gewijzigd|veranderd|gefingeerd)[^\n.]{0,60}[.)*]{0,2})"
)
_WHY = re.compile(
    r"privacy|identit|anonym|confidential|individual|children|patients?|people|victims?|source|"
    r"safety|request",
    re.IGNORECASE,
)


def _weigh_sentence(candidate: Candidate) -> Iterator[Evidence]:
    why = candidate.match["why"] or ""
    if candidate.match["other"]:
        yield "the note in another language", 1.5
    elif _WHY.search(why):
        yield "it says for whose sake", 3
    elif re.search(r"\bidentifying\b|\A\*", candidate.marker):
        yield "as a note", 2
    if re.search(r"innocent|guilty", why):
        yield "a joke", -4
    if re.search(r"\b(?:to match|from|in version|for consistency)\b", why):
        yield "a change of another kind", -4
    if _THINGS.search(candidate.line):
        yield "names of things", -4
    if re.search(r"^\s*(?://|#|/?\*\s)", candidate.line) and not candidate.marker.startswith("*"):
        yield "a comment in code", -2
    yield from quoted_in_code(candidate)


# Row 62: Deleted User, deleted_user_3f2a9c; row 63: [removed by moderator], [comment deleted]

_FORUM = re.compile(
    r"\bu/|\br/|\bpoints?\b|\bkarma\b|\bsubreddit\b|\bcomments?\b|\bposted\b|\bwrote:|\bOP\b|"
    r"\b(?:up|down)votes?\b|\bthread\b|\bpermalink\b|\breply\b|\breplies\b|\bEdit:|\blikes?\b|"
    r"\breddit\b|\bdiscord\b|\bforum\b|\bmoderators?\b|\bmembers? since\b",
    re.IGNORECASE,
)
_ACCOUNT = re.compile(
    r"(?<![\w/\"'.-])(?:\[?(?:Deleted|deleted|DELETED)[ ](?:User|Account|Member)\]?"
    r"(?:#\d{4}|[ ][0-9a-f]{8})?|deleted[_-](?:user|account)(?:[_-][0-9a-f]{2,16})?)(?![\w\"'.(-])"
)


def _weigh_account(candidate: Candidate) -> Iterator[Evidence]:
    forum = candidate.area.distinct(_FORUM)
    yield ("words of a forum", min(forum, 2)) if forum else ("no word of a forum", -2)
    if re.search(r"\d", candidate.marker):
        yield "with a number of its own", 2
    if re.search(r"(?:\bby|@|u/|\bto|\bfrom|^|[\n>|·•])[ ]?\Z", candidate.before) and re.match(
        r"[ ]?(?:$|[\n·•|,:]|wrote|said|posted|replied|\d+ \w+ ago|for\b|left\b)", candidate.after
    ):
        yield "where a user name is expected", 2
    if re.match(r"[ ][a-z'\"(]", candidate.after) and not re.match(
        r"[ ](?:wrote|said|for|posted|replied|left)\b", candidate.after
    ):
        yield "something was done to a user", -2
    yield from quoted_in_code(candidate)
    yield from mentioned(candidate)


def _user_name(candidate: Candidate) -> str:  # noqa: ARG001 (a StandsFor)
    return "USERNAME"


_GONE = r"(?:deleted|removed|withdrawn|hidden)"
_POST = re.compile(
    rf"\[ ?(?:{_GONE} by (?:reddit|(?:a |the )?(?:moderators?|mods?|admins?|authors?|users?|op))|"
    rf"(?:comment|post|message|reply|submission|content) {_GONE}(?: by [\w ]{{2,24}})?|"
    rf"account {_GONE}) ?\](?!\()|"
    rf"\((?:this )?(?:comment|post|message|topic) (?:was )?{_GONE} by (?:its |the )?author"
    r"[^()\n]{0,80}\)|"
    rf"(?<![^\n>])(?:this|your) (?:comment|post|message|reply) (?:has been|was) {_GONE}"
    r"(?: by [\w ]{2,40})?\.?(?=[ \t]*(?:\n|\Z))",
    re.IGNORECASE,
)


def _weigh_post(candidate: Candidate) -> Iterator[Evidence]:
    forum = candidate.area.distinct(_FORUM) - len(set(_FORUM.findall(candidate.marker.lower())))
    if forum > 0:
        yield "words of a forum", min(forum, 2)
    if candidate.is_alone:
        yield "instead of a text", 1
    yield from quoted_in_code(candidate)


_LETTER_CASE = re.compile(r"\[(?:Deleted|DELETED|Removed|REMOVED)\](?!\()")


def _weigh_capital(candidate: Candidate) -> Iterator[Evidence]:
    forum = candidate.area.distinct(_FORUM)
    yield ("words of a forum", min(forum, 2)) if forum else ("no word of a forum", -3)
    if candidate.is_alone:
        yield "instead of a text", 1
    yield from quoted_in_code(candidate)
    yield from mentioned(candidate)


_HIDDEN = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}_at_\[hidden\]")


def _weigh_hidden(candidate: Candidate) -> Iterator[Evidence]:
    yield from mentioned(candidate)


def _mail(candidate: Candidate) -> str:  # noqa: ARG001 (a StandsFor)
    return "EMAIL_ADDRESS"


# Row 64: Dr. REDACTED, Dear *name redacted*, (redacted)

_BARE = re.compile(r"(?<![\w\[<({*_.$\"'`=/-])REDACTED(?![\w\])>}*_(\"'`=/-]|\.\w)")
_SET_OFF = re.compile(
    r"(?<![\w*(-])(?:\*{1,3}|\(|--|_{1,2}|~{1,2})"
    r"(?:(?P<what>(?:first |last |full )?names?|address|city|"
    r"town|place|location|phone(?: number)?|e-?mail|number|employer|company) )?(?i:redacted)"
    r"(?:\*{1,3}|\)|--|_{1,2}|~{1,2})(?![\w*(-])"
)
_MEANT = re.compile(
    r"\b(?:means|prints?|word|shown|shows?|output|logs?|secrets?|fields?|values?|records?|"
    r"documents?|versions?|copy|copies|partially|heavily|constant)\b",
    re.IGNORECASE,
)
_WHERE = re.compile(
    r"\b(?:by|with|from|to|in|at|of|near|was|and|boss|husband|wife|friend|son|daughter|live in|"
    r"living with)[ ,]{1,2}\Z"
)
_PERSONAL_LABEL = re.compile(
    r"(?:^|\n)[ \t>]*(?P<label>From|To|Cc|Name|Address|Phone|E-?mail|Tel|Fax|Date of birth|DOB|"
    r"Sender|Signed|Patient|Employer|SSN)[ ]?:[ \t]{0,10}\Z",
    re.IGNORECASE,
)
_LABEL_TYPES = {
    "phone": "PHONE_NUMBER", "tel": "PHONE_NUMBER", "fax": "PHONE_NUMBER",
    "email": "EMAIL_ADDRESS", "e-mail": "EMAIL_ADDRESS", "address": "LOCATION",
    "date of birth": "DATE_TIME", "dob": "DATE_TIME", "employer": "ORGANIZATION", "ssn": "US_SSN",
}  # fmt: skip


def _weigh_bare(candidate: Candidate) -> Iterator[Evidence]:
    if after_title(candidate):
        yield "after a title or an address", 2.5
    elif _PERSONAL_LABEL.search(candidate.before):
        yield "under a label of personal data", 2.5
    elif _WHERE.search(candidate.before):
        yield "where a name or a place is expected", 1.5
    if _MEANT.search(candidate.line):
        yield "the line is about redaction", -3
    if re.search(r"[:=]\s*\Z", candidate.before) and not _PERSONAL_LABEL.search(candidate.before):
        yield "the value of a setting", -2
    yield from in_prose(candidate)
    yield from in_sentence(candidate)
    yield from quoted_in_code(candidate)
    yield from mentioned(candidate)


def _bare_stands_for(candidate: Candidate) -> str:
    what = candidate.match.groupdict().get("what") or ""
    if after_title(candidate) or "name" in what.lower():
        return "PERSON"
    label = _PERSONAL_LABEL.search(candidate.before)
    if label:
        return _LABEL_TYPES.get(label["label"].lower(), "PERSON")
    found = of_sentence(candidate) if re.search(r"\bby \Z", candidate.before) else ""
    return "PERSON" if re.match(r" who\b", candidate.after) else found


SHAPES = (
    Shape(
        "name changed", "61", "newspapers", "changed", -0.5, _NOTE, _weigh_note,
        r"names? (?:ha(?:s|ve) been )?(?:changed|altered)|"
        r"(?:n.t|not) (?:his|her|their|the|a) real na|[(\[* ]pseudonym|fictitious na|"
        r"namen? [a-z ]{0,40}..ndert|namen? ist ge|"
        r"redaktion bekannt|"
        r"noms? (?:a |ont |chang|modif|d.emprunt|fictif)|"
        r"nombres? (?:ha|fict|cambi|modif|supu)|nomes? (?:fo|fict|alter|troc|modif)|"
        r"nom[ei] (?:\?|sono|di fant|invent)|gefingeerde na|fictieve na|"
        r"na(?:am|men) (?:is|zijn|gef|ver|gew)|"
        r"niet (?:zijn|haar|hun) echte",
    ),
    Shape(
        "names changed, in a sentence", "61", "newspapers", "changed", -1.5, _SENTENCE,
        _weigh_sentence,
        r"[Nn]ames?[^\n.]{0,90} been (?:changed|altered)|"
        r"(?:Namen?|noms|nombres|nomes|nomi|namen) (?:wurden|ont|han|foram|sono|zijn)",
    ),
    Shape(
        "deleted user", "62", "forums", "forum", -1, _ACCOUNT, _weigh_account,
        r"[Dd](?:eleted|ELETED)[ _-](?:[Uu]ser|[Aa]ccount|Member)", _user_name,
    ),
    Shape(
        "deleted post", "63", "forums", "forum", 0, _POST, _weigh_post,
        rf"\[ ?(?:{_GONE} by|(?:comment|post|message|reply|submission|content|account) {_GONE})|"
        rf"(?:comment|post|message|topic) (?:was )?{_GONE} by|"
        rf"(?:comment|post|message|reply) (?:has been|was) {_GONE}",
    ),
    Shape(
        "deleted, in capitals", "63", "forums", "forum", -1, _LETTER_CASE, _weigh_capital,
        r"\[(?:Deleted|DELETED|Removed|REMOVED)\]",
    ),
    Shape(
        "hidden address", "63", "hypermail", "hidden", 3, _HIDDEN, _weigh_hidden,
        r"_at_\[hidden\]", _mail,
    ),
    Shape(
        "bare word", "64", "released records", "redacted", -1.5, _BARE, _weigh_bare, r"REDACTED",
        _bare_stands_for,
    ),
    Shape(
        "word set off", "64", "generic", "redacted", -1, _SET_OFF, _weigh_bare,
        r"(?i:redacted)(?:\*|\)|--|_|~)", _bare_stands_for,
    ),
)  # fmt: skip
