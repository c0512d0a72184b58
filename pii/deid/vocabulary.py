"""What the words of a tag mean: `PERSON_1`, `REDACTED:EMAIL`, `FirstName`, `DATE_TIME_4hKfrH`."""

import re
from dataclasses import dataclass
from functools import lru_cache


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WORDS_BY_TYPE = {
    "EMAIL_ADDRESS": (
        "EMAIL EMAILADDRESS EMAILADRES EMAILADRESSE MAILADRESSE COURRIEL CORREO ELECTRONICMAIL"
    ),
    "PHONE_NUMBER": (
        "PHONE PHONENUMBER TELEPHONE TELEPHONENUMBER TEL FAX FAXNUMBER MOBILE PAGER CELL "
        "TELEFON TELEFONNUMMER TELEFOONNUMMER TELEFOON TELEFONO PHONEFAX"
    ),
    "IP_ADDRESS": "IP IPADDRESS IPV4 IPV6 IPADDR",
    "DATE_TIME": (
        "DATE TIME DATETIME DOB DATEOFBIRTH BIRTHDATE BIRTHDAY BIRTH YEAR MONTH DAY DATUM FECHA "
        "GEBURTSDATUM GEBOORTEDATUM HOLIDAY TIMESTAMP"
    ),
    "AGE": "AGE AGES LEEFTIJD ALTER EDAD",
    "ID": (
        "ID SSN SOCIALSECURITYNUMBER MRN BSN NHS NINO CNP ACCOUNT ACCOUNTNUMBER ACCT IBAN BIC "
        "CARD CREDITCARD CREDITCARDNUMBER CREDITCARDCVV CREDITCARDISSUER CVV PIN PASSPORT LICENSE "
        "LICENCE DRIVERLICENSE LICENSEPLATE PLATE VIN VEHICLEVIN USER USERNAME USERID LOGIN KEY "
        "APIKEY SECRET TOKEN PASSWORD PASSWD CREDENTIAL CREDENTIALS IMEI MAC SERIAL DEVICE "
        "ALPHANUMERICID IDNUM MEDICALRECORD MASKEDNUMBER CRYPTO BITCOINADDRESS TAX VAT ROUTING "
        "RIJKSREGISTERNUMMER KENTEKEN MATRICULA IDENTIFIER BANK"
    ),
    "ORGANIZATION": (
        "ORG ORGANIZATION ORGANISATION COMPANY COMPANYNAME EMPLOYER FIRM BUSINESS BEDRIJF FIRMA "
        "EMPRESA NRP"
    ),
    "LOCATION": (
        "LOCATION LOC GPE ADDRESS STREET STREETADDRESS CITY TOWN VILLAGE COUNTY STATE COUNTRY "
        "ZIP ZIPCODE POSTCODE POSTALCODE BUILDING BUILDINGNUMBER SECONDARYADDRESS PLACE HOSPITAL "
        "INSTITUTION CLINIC WARD ROOM UNIVERSITY SCHOOL FACILITY LOCATIE ZIEKENHUIS ADRES ADRESSE "
        "ORT STADT LOCALIDAD DIRECCION NEARBYGPSCOORDINATE COORDINATE"
    ),
    "PERSON": (
        "NAME NAMES PERSON PERSONS PER PERSONNAME PERSONALNAME FIRSTNAME LASTNAME MIDDLENAME "
        "FULLNAME SURNAME FORENAME GIVENNAME FAMILYNAME NICKNAME PATIENT PATIENTNAME DOCTOR "
        "DOCTORNAME PHYSICIAN CLINICIAN NURSE STAFF HCW RELATIVE PARTICIPANT INTERVIEWEE "
        "RESPONDENT CLIENT CUSTOMER EMPLOYEE WITNESS VICTIM INITIALS PREFIX PERSOON NAAM VORNAME "
        "NACHNAME NOM PRENOM NOMBRE APELLIDO NOME COGNOME PERSONA"
    ),
}
_TYPES = {word: type_ for type_, words in _WORDS_BY_TYPE.items() for word in words.split()}
_ORDER = tuple(_WORDS_BY_TYPE)
"""Of a tag with words of two types the first says what it stands for: an e-mail's address."""

_WITH_OTHERS = _set_of(
    "FIRST LAST FULL GIVEN FAMILY MIDDLE MAIDEN OTHER HOME WORK OF NUMBER NUM NO CODE US UK EU AU "
    "CA IN DE FR IT ES NL CH AT SG RO ROMANIAN GERMAN REF RECORD MEDICAL SOCIAL SECURITY TYPE "
    "DRIVER PERSONAL PLACEHOLDER VALUE"
)
"""Words that say more of a type and name none by themselves."""

GONE = _set_of(
    "REDACTED MASKED REMOVED DELETED ANONYMIZED ANONYMISED PSEUDONYMIZED DEIDENTIFIED WITHHELD "
    "OMITTED SCRUBBED SUPPRESSED PII PHI ANON"
)
"""Words that say that something is gone, or that it was personal."""

HEADS = "|".join(sorted({word[:3] for word in {*_TYPES, *GONE, *_WITH_OTHERS}}))
"""How the words begin that a tag may have, for probes."""

_VAGUE = _set_of("ID KEY TIME YEAR DAY STATE USER TOKEN TYPE DEVICE CLIENT CUSTOMER")
"""Words that templates and code have as often."""

_HASH = re.compile(r"[_:#-](?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z\d]{4,64}\Z|[_:#-][\da-f]{16,64}\Z")
_UUID = re.compile(r"[_:-][\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}\Z", re.IGNORECASE)
_NUMBER = re.compile(r"[_:# -]?\d{1,5}\Z|(?<=[a-z])[ ][A-Z]\Z|\A\d{1,4}_")
_WORD = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag's body, read.

    stands_for  the type, "" where it says only that something is gone
    numbered    whether it has a number, a letter or a hash of its own
    says_gone   whether it says that something is gone, or was personal
    vague       whether its words are as frequent in templates and code
    """

    stands_for: str
    numbered: bool
    says_gone: bool
    vague: bool


@lru_cache(maxsize=4096)
def read_tag(body: str) -> Tag | None:
    """What a tag says, without its delimiters; None if one of its words is no personal data's."""
    rest = body.strip()
    for suffix in (_UUID, _HASH):
        if found := suffix.search(rest):
            rest = rest[: found.start()]
            break
    else:
        found = _NUMBER.search(rest)
        if found:
            rest = rest[found.end() :] if found.start() == 0 else rest[: found.start()]
    words = [word.upper() for word in _WORD.findall(_CAMEL.sub("_", rest))]
    joined = "".join(words)
    if joined in _TYPES:
        words = [joined]
    types = {_TYPES[word] for word in words if word in _TYPES}
    gone = any(word in GONE for word in words)
    known = all(word in _TYPES or word in GONE or word in _WITH_OTHERS for word in words)
    if not known or not (types or gone):
        return None
    stands_for = min(types, key=_ORDER.index, default="")
    vague = all(word in _VAGUE or word in _WITH_OTHERS for word in words)
    return Tag(stands_for, found is not None, gone, vague)
