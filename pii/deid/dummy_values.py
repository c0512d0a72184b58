"""Dummy values: constants that scrubbers write, reserved and stock values: rows 23–26 and 41–45."""

import re
from collections.abc import Iterator

from unrote.pii.deid.context import in_sentence, mentioned, quoted_in_code
from unrote.pii.deid.shapes import Candidate, Evidence, Shape
from unrote.pii.findings import RESERVED_VALUE


def _either(values: tuple[str, ...]) -> str:
    return "|".join(re.escape(value) for value in values)


# Rows 23, 24: bigcode-dataset/pii/replacements.json

_BIGCODE_MAILS = tuple(
    f"{name}@example.com"
    for name in [
        "ychag",
        "nnheo",
        "envkt",
        "upchh",
        "anpch",
        "lyhxr",
        "efpyi",
        "hzdkv",
        "dycjh",
        "kenaa",
    ]
)
_BIGCODE_KEYS = (
    "9jnerlff23u8ed01np9g6ysbhsh0dvcs",
    "caf86f4uutaoxfysmf7anj01xl6sv3ps",
    "vqbpgud2ghvjgm1n5hdgjnn5818fzsf2",
    "949d1u22cbffbrarjh182eig55721odj",
    "9q3vfhm7l33rus21toc8fndupq76itje",
    "ax5kh6jaqkcd2tiexxs8v6xjo8yv8a6b",
    "se2xy1bknelxn4y8xzxu3trosptip3q5",
    "74t3tndxag9o7h0890bnpfzh4olk2h9x",
    "ngw6fo1pu3tjgnp9jnlp7vnwvfqb9yn7",
    "kgfhvu9qnh3mr6eel97y6fq2hezzol8z",
)
_BIGCODE_V4 = ("172.16.31.10", "172.16.58.3", "172.16.17.32", "192.168.127.12", "192.168.3.11")
_BIGCODE_V6 = (
    "fd00:c2b6:b24b:be67:2827:688d:e6a1:6a3b",
    "fd00:a516:7c1b:17cd:6d81:2137:bd2a:2c5b",
    "fc00:e968:6179::de52:7100",
    "fc00:db20:35b:7399::5",
    "fdf8:f53e:61e4::18",
)
_NO_ADDRESS = re.compile(
    r"\b(?:version|section|release|build|clause|chapter|v)\.? ?$", re.IGNORECASE
)


def _weigh_constant(candidate: Candidate) -> Iterator[Evidence]:
    """Nobody else writes these."""
    if candidate.before.endswith("`"):
        yield "in backticks", -1


def _weigh_address(candidate: Candidate) -> Iterator[Evidence]:
    """A private address that others use as well, or a public one of somebody."""
    if _NO_ADDRESS.search(candidate.before):
        yield "a version or a section", -4
    if re.match(r"/\d", candidate.after):
        yield "a network", -3
    yield from mentioned(candidate)


# Rows 25, 26: datatrove's PIIFormatter

_DATATROVE_MAILS = ("email@example.com", "firstname.lastname@example.org")
_DATATROVE_IPS = (
    "22.214.171.124",
    "126.96.36.199",
    "188.8.131.52",
    "184.108.40.206",
    "220.127.116.11",
    "18.104.22.168",
)
_DOCUMENTATION = re.compile(
    r"\b(?:placeholder|e\.g\.|example|aria-label|such as|as in|for instance|format|syntax|curl|"
    r"config|default|parameter|usage|field|input|label|value|git|user\.email|test|sample)\b",
    re.IGNORECASE,
)


def _weigh_datatrove_mail(candidate: Candidate) -> Iterator[Evidence]:
    line = candidate.line_before[-100:] + " " + candidate.line_after[:100]
    if _DOCUMENTATION.search(line):
        yield "the line is documentation", -2.5
    if re.search(r"[\"'`=]$", candidate.before) or re.match(r"[\"'`]", candidate.after):
        yield "in quotation marks", -1.5
    yield from in_sentence(candidate)
    yield from mentioned(candidate)


# Row 41: [email protected]; row 42: no_address@enron.com


def _weigh_proxy(candidate: Candidate) -> Iterator[Evidence]:
    yield from mentioned(candidate)


def _proxied(candidate: Candidate) -> str:
    """Cloudflare takes anything with an @ for an address: versions of packages too."""
    version = re.search(r"[\w-]/$|\b(?:npm|yarn|pnpm|go get|install|git clone) $", candidate.before)
    return "" if version else "EMAIL_ADDRESS"


# Row 43: NAME_1

_SNAKE = re.compile(r"(?<![A-Z0-9_])(?!NAME_\d)[A-Z][A-Z0-9]*_[A-Z0-9_]{1,30}")
_SCHEMA = re.compile(
    r"\b(?:column|columns|field|enum|const|variable|struct|select|shapefile|attribute|macro|"
    r"define|export|gid|table|layer|constant|parameter)\b",
    re.IGNORECASE,
)


def _weigh_name(candidate: Candidate) -> Iterator[Evidence]:
    if re.search(r"[$#%&@{\"'`\[(=./\\:<-]$|\b(?:export|define|unset) $", candidate.before):
        yield "an identifier in code", -2.5
    if re.match(r"[ ]?[=}\"'`\]:)>%;]|[.(\[]\w|->", candidate.after):
        yield "an identifier in code", -2.5
    if _SCHEMA.search(candidate.line):
        yield "the line is about columns or constants", -3
    snakes = candidate.area.distinct(_SNAKE)
    if snakes:
        yield "other identifiers of this form", -min(2.0, float(snakes))
    yield from in_sentence(candidate)
    yield from quoted_in_code(candidate)
    yield from mentioned(candidate)


# Row 44: @USER, HTTPURL, [deleted]

_TWEET = re.compile(r"HTTPURL|(?<!\w)@USER\b|\bRT\b|(?<!\w)#\w{3,}|[\U0001F300-\U0001FAFF]")


def _weigh_tweet(candidate: Candidate) -> Iterator[Evidence]:
    if candidate.area.distinct(_TWEET) > 1:
        yield "other features of a tweet", 1
    if re.search(r"[\"'`=(,/$]$|\b(?:set|select|declare) $", candidate.before, re.IGNORECASE):
        yield "in code", -1.5
    yield from quoted_in_code(candidate)
    yield from mentioned(candidate)


_FORUM = re.compile(
    r"\bu/|\br/|\bpoints?\b|\bscore\b|"
    r"\bkarma\b|\bsubreddit\b|\bcomments?\b|\bposted by\b|\bauthor\b|"
    r"\bOP\b|\bupvotes?\b|\bthread\b|\bpermalink\b|\breply\b|\baward\b|\breddit\b",
    re.IGNORECASE,
)
_TOOL = re.compile(
    r"\b(?:rsync|git|branch|svn|origin|renamed|unchanged|commit|patch|file|scene|page)\b|->"
)


def _weigh_forum(candidate: Candidate) -> Iterator[Evidence]:
    forum = candidate.area.distinct(_FORUM)
    yield ("words of a forum", min(forum, 2)) if forum else ("no word of a forum", -2)
    if re.search(r"u/$|\bby $|\"(?:author|body)\": ?\"$|thanks[\w ]{0,20}, $", candidate.before):
        yield "where a user name or a text is expected", 2
    elif candidate.is_alone or re.match(r" [·•|] ", candidate.after):
        yield "instead of a user name or a text", 1
    if _TOOL.search(candidate.line):
        yield "the output of a tool", -3
    yield from mentioned(candidate)


def _forum_stands_for(candidate: Candidate) -> str:
    if candidate.marker != "[deleted]":
        return ""
    named = re.search(r"u/$|by $|\"author\": ?\"$|, $|(?:^|\n)[ \t]*$", candidate.before)
    alone = candidate.is_alone or re.search(r"\"body\": ?\"$", candidate.before)
    return "USERNAME" if named and not alone else ""


# Row 45: reserved values, which belong to nobody. The score says that a value is one, not that a
# scrubber wrote it.

_FAKER = _either(
    (
        "Allison Hill",
        "Noah Rhodes",
        "Angie Henderson",
        "Daniel Wagner",
        "Cristian Santos",
        "Connie Lawrence",
        "Abigail Shaffer",
        "Gabrielle Davis",
        "Ryan Munoz",
        "Monica Herrera",
        "Norma Fisher",
        "Jorge Sullivan",
        "Elizabeth Woods",
        "Susan Wagner",
        "Peter Montgomery",
        "Theodore Mcgrath",
        "Lucy Cechtelar",
    )
)
_NOBODY = (
    rf"(?:John|Jane|Johnny|Janie|Baby) Doe|(?:Anna|Joe|Max|Eve) Example|"
    rf"Max Mustermann|Erika Mustermann|Jan Modaal|Mario Rossi|{_FAKER}"
)


def _weigh_reserved(candidate: Candidate) -> Iterator[Evidence]:  # noqa: ARG001 (a Weigh)
    yield "a reserved value or a known dummy", 3


def _mail(candidate: Candidate) -> str:  # noqa: ARG001 (a StandsFor)
    return "EMAIL_ADDRESS"


def _id(candidate: Candidate) -> str:  # noqa: ARG001 (a StandsFor)
    return "ID"


def _ip(candidate: Candidate) -> str:  # noqa: ARG001 (a StandsFor)
    return "IP_ADDRESS"


def _number(candidate: Candidate) -> str:
    return "US_SSN" if candidate.marker == "078-05-1120" else "CREDIT_CARD"


def _person(candidate: Candidate) -> str:  # noqa: ARG001 (a StandsFor)
    return "PERSON"


def _phone(candidate: Candidate) -> str:  # noqa: ARG001 (a StandsFor)
    return "PHONE_NUMBER"


def _user(candidate: Candidate) -> str:
    return "USERNAME" if candidate.marker == "@USER" else ""


_MAIL_EDGE = r"(?<![\w.+-])(?:{})(?![\w-]|\.\w)"
_IP_EDGE = r"(?<![\w.])(?:{})(?![\w]|\.\d)"
_V6_EDGE = r"(?<![\w:.])(?:{})(?!\w|:[0-9a-f]{{1,4}}(?:[:\]]|$))"

SHAPES = (
    Shape(
        "BigCode address", "23", "BigCode", "constants", 4,
        re.compile(_MAIL_EDGE.format(_either(_BIGCODE_MAILS))), _weigh_constant,
        _either(_BIGCODE_MAILS), _mail,
    ),
    Shape(
        "BigCode key", "23", "BigCode", "constants", 5,
        re.compile(rf"(?<!\w)(?:{_either(_BIGCODE_KEYS)})(?!\w)"), _weigh_constant,
        _either(_BIGCODE_KEYS), _id,
    ),
    Shape(
        "BigCode IPv4", "24", "BigCode", "constants", 1,
        re.compile(_IP_EDGE.format(_either(_BIGCODE_V4))), _weigh_address,
        _either(_BIGCODE_V4), _ip,
    ),
    Shape(
        "BigCode IPv6", "24", "BigCode", "constants", 5,
        re.compile(_V6_EDGE.format(_either(_BIGCODE_V6))), _weigh_constant,
        _either(_BIGCODE_V6), _ip,
    ),
    Shape(
        "datatrove address", "25", "datatrove", "datatrove", 0,
        re.compile(_MAIL_EDGE.format(_either(_DATATROVE_MAILS))), _weigh_datatrove_mail,
        _either(_DATATROVE_MAILS), _mail,
    ),
    Shape(
        "datatrove IPv4", "26", "datatrove", "datatrove", 3,
        re.compile(_IP_EDGE.format(_either(_DATATROVE_IPS))), _weigh_address,
        _either(_DATATROVE_IPS), _ip,
    ),
    Shape(
        "Cloudflare", "41", "Cloudflare", "cloudflare", 4,
        re.compile(r"\[email(?: |\u00a0|&#160;|&nbsp;)protected\]"), _weigh_proxy,
        r"\[email[^\]\n]{1,12}protected\]", _proxied,
    ),
    Shape(
        "no_address", "42", "Enron", "enron", 4,
        re.compile(r"(?<![\w.+-])no[_.]address@enron\.com(?![\w-])"), _weigh_proxy,
        r"no[_.]address@enron\.com", _mail,
    ),
    Shape(
        "NAME_1", "43", "LMSYS", "names", 0.5,
        re.compile(r"(?<![\w$-])NAME_\d{1,3}(?!\w)"), _weigh_name, r"NAME_\d", _person,
    ),
    Shape(
        "tweet", "44", "tweets", "tweets", 1,
        re.compile(r"(?<![\w@/.])\.?(?P<span>@USER)(?![\w@(]|-\w)|(?<![\w/.])HTTPURL(?!\w)"),
        _weigh_tweet, r"@USER|HTTPURL", _user,
    ),
    Shape(
        "forum", "44", "Reddit", "reddit", -1,
        re.compile(r"\[(?:deleted|removed)\](?!\()"), _weigh_forum, r"\[(?:deleted|removed)\]",
        _forum_stands_for,
    ),
    Shape(
        "url.removed", "44", "Reddit", "reddit", 3,
        re.compile(r"https?://url\.removed\b"), _weigh_proxy, r"url\.removed",
    ),
    Shape(
        "555-01xx", "45", "test values", "reserved", 0,
        re.compile(r"(?<![\w.-])(?:\+?1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])?555[ .-]01\d\d(?![\w-])"),
        _weigh_reserved, r"555[ .-]01\d\d", _phone, RESERVED_VALUE,
    ),
    Shape(
        "number of nobody", "45", "test values", "reserved", 0,
        re.compile(
            r"(?<![\w-])(?:078-05-1120|"
            r"4111(?P<gap>[ -]?)1111(?P=gap)1111(?P=gap)1111)(?![\w-])"
        ),
        _weigh_reserved, r"078-05-1120|4111[ -]?1111", _number, RESERVED_VALUE,
    ),
    Shape(
        "example address", "45", "test values", "reserved", 0,
        re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@example\.(?:com|net|org)(?![\w-]|\.\w)"),
        _weigh_reserved, r"[\w.+-]@example\.(?:com|net|org)", _mail, RESERVED_VALUE,
    ),
    Shape(
        "name of nobody", "45", "test values", "reserved", 0,
        re.compile(rf"(?<![\w-])(?:{_NOBODY})(?![\w-])"), _weigh_reserved, _NOBODY, _person,
        RESERVED_VALUE,
    ),
)  # fmt: skip
