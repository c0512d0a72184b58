"""Evidence from the words around a candidate: its sentence, its line, the document."""

import re
from collections.abc import Iterator
from functools import lru_cache

from unrote.pii.deid.shapes import REMEMBERED, AnyCase, Area, Candidate, Evidence, local

CLINICAL_WORDS = (
    r"(?:\[\*\*[A-Z\d]|\bm\.d\.|\b(?:patients?|pt's|y/o|yo|s/p|h/o|c/o|p/w|w/u|r/o|hx|pmh|"
    r"mrn|hadm_id|"
    r"subject_id|diagnos[ie]s|diagnosed|chest|radiographs?|x-?rays?|cxr|mri|pneumonia|pneumothorax|"
    r"effusions?|fractures?|lungs?|cardiac|cardiomegaly|bleed(?:ing)?|hemorrhage|biopsy|pathology|"
    r"colonoscopy|mammogram|clinic|nurses?|nursing|physicians?|pharmacy|refill|"
    r"status post|subcutaneous|"
    r"\w{3,12}(?:ectomy|itis|oscopy|plasty|ostomy|opathy)|ekg|ecg|"
    r"icu|ccu|micu|spo2|sats|inr|warfarin|fever|febrile|nausea|cough|syncope|gout|rash|wound|"
    r"surgery|tumou?r|carcinoma|cancer|dyspnea|htn|copd|chf|cva|dm2|afib|intubated|extubated|"
    r"catheter|stent|sutures?|uti|sepsis|urosepsis|urine|glucose|hospital(?:ized)?|rehab|"
    r"medical|medications?|prescribed|allerg(?:y|ies|ic)|symptoms?|abdomen|pelvis|aortic|mitral|"
    r"infant|pregnan(?:t|cy)|seizures?|dementia|delirium|psych|therapist|bedside|tracheostomy|"
    r"prn|record date|"
    r"atelectasis|pulmonary|pleural|mediastinal|granulomas?|osseous|thoracic|lumbar|"
    r"sternotomy|asthma|diabetes|hypertension|murmur|surgeon|icd-9|dose|doses|tablets?|mg)\b)"
)
WEAK_WORDS = (
    r"\b(?:pts?|dob|discharged?|admit(?:ted)?|admission|ct|lobe|md|rn|echo|bp|hr|pain|blood|meds|"
    r"impression|findings|comparison|indication|examination|examined|exam|spine|artery|valve|births?|"
    r"neuro|stroke|therapy|consult|ward|vent|bid|tid|qd|opacity|opacities|consolidation|silhouette|"
    r"calcified|degenerative|vertebral|infection|follow-?up|mother|father|sister|wife|husband|"
    r"daughter|providers?|visits?|fellow|resident|transferred|trach|fall|referring|"
    r"pediatrician|qty|liver|weight|tube|veins?|medicines?|swollen|legs?|skin|born|ear|knee|doctor|dr|drs)\b"
)
CLINICAL = AnyCase(CLINICAL_WORDS.replace("A-Z", "a-z"))
WEAK = AnyCase(WEAK_WORDS)

GERMAN_LAW_WORDS = (
    r"(?:\b[Kk]läger|\bBeklagte|\bAngeklagte|\bAngeschuldigte|\bBeschuldigte|\bZeug(?:e|in|en)\b|"
    r"\bRechtsanwält|\bRechtsanwalt|\bProzessbevollm|\bVerfolgten|\bLandgericht|\bAmtsgericht|"
    r"\bOberlandesgericht|\bUrteil|\bSorgerecht|\bParteien\b|\bverurteil|\bKennzeichen\b|"
    r"\bSachverständige|\bPolizeibeamt|\bAntragsteller|\bAntragsgegner|\bBerufung|"
    r"\bStaatsangehörigkeit|\bVertrags?\b|\bVerfügung|\bGeschädigte|\bHalterin\b|\bwohnhaft\b|"
    r"\bgeboren am\b|\bSenats?\b|\bKammer\b|\bStrafkammer|\bNebenkläger|\bBetroffene)"
)
GERMAN_LAW = re.compile(GERMAN_LAW_WORDS)

PROBES = {
    "clinical": CLINICAL_WORDS,
    "clinical or weak": f"{CLINICAL_WORDS}|{WEAK_WORDS}",
    "german law": GERMAN_LAW_WORDS,
}
"""Expressions of which a document must hold one for some shapes to be looked for in it."""

_TITLE = re.compile(
    r"\b(?:[Dd]rs?|DR|Mrs?|Ms|Miss|Messrs|Prof|Professor|Doctor|Sir|Cllr|Sgt|Capt|Officer|Agent|"
    r"Inspector|Detective|Attending|Herrn?|Frau|Lieber|Liebe|Dear|Hi|hi|Hello|hello|[Dd]hr|[Mm]w|"
    r"[Hh]eer|[Mm]evrouw|[Cc]liënt|[Pp]atiënt|[Pp]atient|Monsieur|Madame|Mme|Author|author|@author)"
    r"[.:]?[ \t]{1,8}$"
)
_LEADS = re.compile(
    r"\b(?:by|from|to|with|on|at|in|of|since|for|until|till|via|and|or|per|between|near|called|met|"
    r"named|is|was|ask|asks?|asked|told|thanks?|phoned|paged|ring|contact|cc|than|through|as|"
    r"van|met|bij|in|op|uit|door|dochter|zoon|mijn|à|de|le|an|von|bei|am|der|die|den)[ \t]{1,2}"
    r"(?:the[ \t])?[(“\"'<]?$",
    re.IGNORECASE,
)
_FOLLOWS = re.compile(
    r"[ \t]?(?:[’']s\b|, ?(?:M\.?D|R\.?N|MSW|PA|NP|PhD|Esq)\b|"
    r"[ ](?:was|is|has|had|said|says|states|"
    r"stated|called|calls|asked|reports?|reported|advised|noted|wrote|told|agreed|testified|lives|"
    r"lived|came|went|works?|worked|will|who|whose|heeft|is|werd|vertelde|brengt|belde|joined|"
    r"and|at|on|from|in|to|for|yo|y/o)\b)"
)
_LABEL = re.compile(r"(?:^|[\s|;,(\"])[\w][\w /()#.\"'-]{1,30}[:=][ \t]{0,20}[\"'<]?$")
_ABOUT = re.compile(
    r"\bplace-?holders?\b|\bsuch as\b|\bsupported tokens\b|\btokens?:|\bshortcodes?\b|"
    r"\breplace(?:s|d|ment|_\w+)?\b|\brewrit(?:e|es|ten)\b|\bsubstitut|\bmask(?:s|ed|ing)?[ _(=.]|"
    r"\bpattern|\bregex|\bregular expression|\banonymi[sz]er?\b|\boperators?\b|\bpolic(?:y|ies)\b|"
    r"\bthe (?:word|label|string|tag|tags|token|marker|text|box)\b|"
    r"\bshows? (?:as|up)\b|\bshown as\b|"
    r"\b(?:is|are) shown\b|\b(?-i:X?HTML|XML)\b|"
    r"\bsample e?-?mail\b|\btemplates?\b|\bmail merge\b|\bcolumns?\b|\barguments?:|"
    r"\boptional\b|\bstyle guide\b|\bliteral|\bscrub(?:s|bed|ber)?\b|\bassert\w*\b|"
    r"\bset \w+ to\b|\bby default\b|\bwhere it says\b|\bvariables?\b|\bmacros?\b|\bfields?\b|"
    r"\bresolves?\b|\bthen delete\b|\btags?\b|\belements?\b|\byour own\b|\bsettings?\b|\byields?\b|"
    r"\bconverts?\b|\bturns?\b[^.\n]{0,30}\binto\b|\bcalled when\b|\bsyntax\b",
    re.IGNORECASE,
)
_QUOTE_IN_CODE = re.compile(r"(?:[=(,\[]|\breturn|\bcase|=>)\s{0,3}[rbuf]?[\"'`][^\"'`\n]{0,40}$")
_JSON_KEY = re.compile(r"[\"'][\w. -]{1,40}[\"']\s{0,3}:\s{0,3}[\"'][^\"'\n]{0,40}$")
_CODE_LINE = re.compile(
    r"[;{]\s*$|^\s*(?:const|let|var|def|class|return|import|assert|if|for)\b|=>|::|\(\)"
)


def clinical_words(area: Area) -> float:
    """Different clinical words; those that other texts use as well count a third."""
    return area.distinct_in_any_case(CLINICAL) + area.distinct_in_any_case(WEAK) / 3


def clinical(candidate: Candidate) -> Iterator[Evidence]:
    """Evidence that the document is clinical, or is not."""
    words = clinical_words(candidate.area)
    if words == 0:
        yield "no clinical word around", -4
    elif words < 0.6:
        yield "hardly a clinical word around", -1
    elif words < 1.5:
        yield "a clinical word around", 1
    elif words < 4:
        yield "clinical words around", 2
    else:
        yield "a clinical document", 3


@local
def in_sentence(candidate: Candidate) -> Iterator[Evidence]:
    """Evidence that a sentence has a name, a location or a date here."""
    if after_title(candidate):
        yield "after a title or an address", 2
    elif _LEADS.search(candidate.before):
        yield "after a word that precedes names and dates", 1.5
    elif _LABEL.search(candidate.line_before[-50:]):
        yield "after a label", 1
    if _FOLLOWS.match(candidate.after):
        yield "before a word that follows names", 1
    if candidate.is_within_prose:
        yield "within a sentence", 0.5


_CODE_SIGN = re.compile(r"[{}\\;]|--[a-z]|==|=>|->|\w\(|^\s*[#$>|]|\w = |::|</|\t\S+\t")
_LOWER_WORD = re.compile(r"(?<!\S)[^\W\d_A-Z]{2,}(?![^\s.,;:!?)\"”’'])")


@local
def in_prose(candidate: Candidate) -> Iterator[Evidence]:
    """Evidence of a line of words, without signs that code and tables have."""
    around = candidate.line_before[-120:] + " " + candidate.line_after[:120]
    if not _CODE_SIGN.search(around) and len(_LOWER_WORD.findall(around)) >= 4:
        yield "a line of words", 1


_OPTION = re.compile(r"(?:--?[\w-]{1,30}[ =]|\[|\||\busage:[^\n]{0,100})$", re.IGNORECASE)
_COMMAND = re.compile(
    r"(?:^|\n)\s*(?:\$ |# )?(?:git|curl|ssh|docker|mysql|psql|pip|npm|apt|sudo|ip|mail|scp|wget|"
    r"kubectl|aws|az|export|set|usage)\b[^\n]{0,150}\Z|\b[Ee]nter [^\n]{0,20}\Z|\bwhere \Z",
    re.IGNORECASE,
)
_OWNED = re.compile(
    r"(?:copyright|\(c\)|©|author|maintainer|written|signed-off|reported|reviewed|thanks|credit|"
    r"todo|@author|by|mailto:|commit|contact)\W[^\n]{0,60}$",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"(?:passw(?:or)?d|pass|pwd|secret|token|key|auth|cookie|basic|login|chpasswd|begin|"
    r"jwt|sha\d{0,3}|ssh-\w+|BEGIN [A-Z ]{0,20}KEY-{5}|apikey)\w{0,20}\W{0,3}[^\n]{0,50}\s?$",
    re.IGNORECASE,
)


def argument(candidate: Candidate) -> Iterator[Evidence]:
    """Evidence of an argument that a command's help names."""
    if _OPTION.search(candidate.line_before):
        yield "an argument of a command", -2.5


@local
def commanded(candidate: Candidate) -> Iterator[Evidence]:
    """The same, and of a command line."""
    yield from argument(candidate)
    if _COMMAND.search(candidate.line_before):
        yield "a command line", -4


@local
def owned(candidate: Candidate) -> Iterator[Evidence]:
    """Evidence that authors are named here."""
    if _OWNED.search(candidate.line_before[-80:]):
        yield "where an author is named", 1.5


def secret_set(candidate: Candidate) -> Iterator[Evidence]:
    """Evidence that a secret is assigned here."""
    if _sets_secret(candidate.before):
        yield "where a secret is set", 1.5


@lru_cache(maxsize=REMEMBERED)
def _sets_secret(before: str) -> bool:
    return _SECRET.search(before) is not None


def after_title(candidate: Candidate) -> bool:
    return _TITLE.search(candidate.before) is not None


@local
def mentioned(candidate: Candidate) -> Iterator[Evidence]:
    """Evidence that the text is about markers, rather than scrubbed."""
    around = candidate.line_before[-120:] + " " + candidate.line_after[:120]
    if _ABOUT.search(around):
        yield "the line is about placeholders", -3.5
    if candidate.before.endswith("`") or (
        candidate.line_before.count("`") % 2 and "`" in candidate.line_after
    ):
        yield "in backticks", -3
    if candidate.before.endswith("\\") or candidate.after.startswith("\\"):
        yield "escaped", -3


@local
def quoted_in_code(candidate: Candidate) -> Iterator[Evidence]:
    """Evidence of code: a string in it is rarely a marker, unless it is a value in a record."""
    if _JSON_KEY.search(candidate.line_before[-100:]):
        return
    if _QUOTE_IN_CODE.search(candidate.line_before[-100:]):
        yield "a string in code", -3
    elif _CODE_LINE.search(candidate.line):
        yield "a line of code", -1


_TYPES = tuple(
    (re.compile(words), stands_for)
    for words, stands_for in (
        (r"E-?MAIL|COURRIEL", "EMAIL_ADDRESS"),
        (r"PHONE|\bFAX|TELEFO|PAGER|TÉLÉPHONE|\bTEL\b", "PHONE_NUMBER"),
        (
            r"IP_|_IP\b|\bIP\b|USER|SSN|SOCIAL|CREDIT|CARD|IBAN|\bKEY|PASS|CREDENTIAL|SKYPE|TWITTER",
            "ID",
        ),
        (
            r"LICEN[CS]E|ACCOUNT|CRYPTO|MRN|NUMBER|NUMÉRO|IMMATRIC|KENTEKEN|NHS|BSN|\bBANK|\bNRP",
            "ID",
        ),
        (r"DATE|DOB|YEAR|MONTH|HOLIDAY|\bTIME|\bDAY|GEBOORTE|LEEFTIJD_", "DATE_TIME"),
        (r"\bAGE|LEEFTIJD", "AGE"),
        (
            r"HOSPITAL|LOCATION|ADDRESS|ADRES|ZIP|POSTAL|CITY|STATE|COUNTRY|STREET|\bLOC\b|\bPLACE|INSTITUTION",
            "LOCATION",
        ),
        (
            r"LOCALIT|WARD|UNIVERSITY|COLLEGE|INSTITUTE|APARTMENT|\bGPE\b|PLAATS|STRAAT|\bROOM",
            "LOCATION",
        ),
        (r"\bORG|COMPANY|COMPAGNIE|ÉTABLISSEMENT|BEDRIJF|SOCIÉTÉ|EMPLOYER", "ORGANIZATION"),
        (r"NAME|NAAM|PERSON|\bPER\b|INITIALS?|PATIENT|DOCTOR|DICTATOR|ATTENDING|STAFF", "PERSON"),
        (r"\bID\b|_ID\b|IDENTIFIER|\bJOB|RECORD|SERIAL|CLIP", "ID"),
    )
)


def of_tag(tag: str) -> str:
    """The type that a tag names, as an entity of Presidio; "" where it names none."""
    upper = tag.upper()
    return next((stands_for for words, stands_for in _TYPES if words.search(upper)), "")


_AGE = re.compile(r"[- ]?(?:year|yr|y/?o\b)|[FM]\b|[ ](?:right|left)-handed|[ ]with [A-Z]")
_DATED = re.compile(
    r"\b(?:on|since|dated?|date/time|of birth|dob|compar\w+ (?:with|to|made to)|from|study|"
    r"radiograph\w*|(?:CT|MRI|exam) (?:of|from)|"
    r"until|till|before|after|in early|in late)[ :]{1,20}$",
    re.IGNORECASE,
)
_PERSON = re.compile(
    r"\b(?:by|with|called|mother of|name|provider|attending|physician|read|daughter|son|wife|"
    r"husband|cousin|mother|father)[ :]{1,20}$",
    re.IGNORECASE,
)
_PLACE = re.compile(r"\b(?:at|in|to|from|near|the|lives in)[ ]$", re.IGNORECASE)


def of_sentence(candidate: Candidate) -> str:
    """The type that a filler stands for, inferred from the words beside it; "" where unknown."""
    if _AGE.match(candidate.after) and not after_title(candidate):
        return "AGE"
    if after_title(candidate) or re.match(r", ?(?:M\.?D|R\.?N)\b|[’']s\b", candidate.after):
        return "PERSON"
    if re.match(r"\s?\d\d:\d\d|[:]", candidate.after) or _DATED.search(candidate.before):
        return "DATE_TIME"
    label = _LABEL.search(candidate.line_before[-50:])
    if label and of_tag(label[0]):
        return of_tag(label[0])
    if _PERSON.search(candidate.before):
        return "PERSON"
    return "LOCATION" if _PLACE.search(candidate.before) else ""
