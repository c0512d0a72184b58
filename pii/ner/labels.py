"""The labels of models for entities: how tags of a sequence may follow one another, and which of
our types a label stands for.

Token classifiers label each token "O" or with a tag of a type: B-PER at the beginning of an entity,
I-PER inside it, E-PER (or L-PER) at its end, S-PER (or U-PER) where it is one token long. BIO has B
and I, BIOES and BILOU have all, IOB1 has B only where an entity follows another of its type, and
IO has types alone ("PER" or "I-PER").
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unrote.corpus.errors import ConfigError

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_TAGGED = re.compile(r"([BIMELSU])-(.+)", re.DOTALL)
_TAGS = {"M": "I", "L": "E", "U": "S"}
_OUTSIDE = frozenset({"o", "outside"})

_NAMES: Mapping[str, str] = {
    "PERSON": "person per private_person name first_name firstname given_name givenname last_name "
    "lastname surname middle_name middlename full_name fullname patient doctor staff hcw",
    "LOCATION": "location loc gpe fac facility city state country county private_location",
    "ADDRESS": "address private_address street_address street building_number buildingnum",
    "ZIP_CODE": "postcode zipcode zip_code zip",
    "ORGANIZATION": "organization organisation org company company_name companyname hospital hosp "
    "private_company patorg vendor",
    "NRP": "nrp norp race_ethnicity political_view religious_belief",
    "AGE": "age",
    "DATE_TIME": "date time date_time datetime private_date",
    "DATE_OF_BIRTH": "date_of_birth dateofbirth dob birth_date",
    "EMAIL_ADDRESS": "email e_mail email_address private_email",
    "PHONE_NUMBER": "phone phone_number phonenumber telephone telephonenum telephone_number "
    "private_phone fax_number fax",
    "URL": "url private_url",
    "IP_ADDRESS": "ip ip_address ipaddress ipv4 ipv6",
    "MAC_ADDRESS": "mac mac_address",
    "CREDIT_CARD": "credit_card credit_card_number creditcardnumber credit_debit_card",
    "IBAN_CODE": "iban iban_code",
    "US_SSN": "ssn socialnum social_security_number us_ssn",
    "SECRET": "secret password key api_key pin cvv credit_card_security_code http_cookie",
    "USERNAME": "username user_name private_handle personal_handle",
    "ACCOUNT_NUMBER": "account_number accountnum account bank_routing_number swift_bic",
    "ID": "id private_id idnum id_number idcardnum national_id tax_id taxnum passport "
    "passport_number driver_license driverlicensenum license_plate customer_id employee_id "
    "unique_id device device_identifier certificate_license_number vehicle_identifier "
    "medical_record_number medicalrecord health_plan_beneficiary_number biometric_identifier",
}
"""Our types, and the names that widely used models give them: CoNLL and OntoNotes, openai's privacy
filter, Nemotron-PII (OpenMed's models), ai4privacy, StarPII, i2b2."""

ENTITIES: Mapping[str, str] = {
    name: entity for entity, names in _NAMES.items() for name in names.split()
}


def entities_by_label(
    labels: Sequence[str], own: Mapping[str, str], model: str
) -> tuple[dict[str, str], tuple[str, ...]]:
    """(type of ours by label, labels that nothing maps). labels: of a model, without tags.

    own: outranks ENTITIES; a label that it maps to "" is left out and not listed. Its names count
    in any case, with or without a tag, and whatever stands between their words.
    model: for errors. Raises ConfigError where it names a label that the model lacks, or where no
    label is mapped.
    """
    named = {_plain(_untagged(label)): entity for label, entity in own.items()}
    there = {_plain(label) for label in labels}
    if strange := sorted(
        label
        for label in own
        if _plain(_untagged(label)) not in there and _plain(label) not in there
    ):
        raise ConfigError(
            f"pii.ner_labels names {', '.join(strange)}, which {model} lacks. It has "
            f"{', '.join(sorted(set(labels)))}."
        )
    named |= {_plain(label): entity for label, entity in own.items()}
    known = {**ENTITIES, **named}
    mapped = {label: known.get(_plain(label)) for label in labels}
    found = {label: entity for label, entity in mapped.items() if entity}
    ignored = tuple(sorted(label for label, entity in mapped.items() if entity is None))
    if not found:
        raise ConfigError(
            f"No label of {model} stands for a type of personal data: {', '.join(labels)}. "
            'Say which ones do: pii.ner_labels = {LABEL = "PERSON"}.'
        )
    return found, ignored


def _untagged(label: str) -> str:
    tagged = _TAGGED.fullmatch(label)
    return tagged[2] if tagged else label


def _plain(label: str) -> str:
    return re.sub(r"[\W_]+", "_", label.lower()).strip("_")


@dataclass(frozen=True)
class Scheme:
    """How the labels of a token classifier may follow one another.

    types: names of types, without tags. type_of int64[labels]: the type of a label, by number; -1
    for O. begins, ends bool[labels]: whether an entity begins or ends with every token of the
    label (B and S; E and S). first, last bool[labels]: whether a text may begin or end with it.
    set_of int64[labels], set_offsets int64[sets + 1], set_labels: the labels that may stand before
    a label are set_labels[set_offsets[s]:set_offsets[s + 1]] with s = set_of[label].
    by_token: whether each token has a label of its own. Otherwise a word has that of its first one.
    """

    types: tuple[str, ...]
    type_of: Ints
    begins: Bools
    ends: Bools
    first: Bools
    last: Bools
    set_of: Ints
    set_offsets: Ints
    set_labels: Ints
    by_token: bool


def scheme_of(labels: Sequence[str], model: str) -> Scheme:
    """The scheme of a model's labels, in their order.

    model: for errors. Raises ConfigError where the labels have no O, or some have tags and others
    none.
    """
    parts = _parts(labels, model)
    types = tuple(dict.fromkeys(type_ for _, type_ in parts if type_))
    tags = {tag for tag, _ in parts}
    closed = bool(tags & {"E", "S"})
    begun = {type_ for tag, type_ in parts if tag == "B"}
    # In IOB1 some types have no B, since none of theirs ever follow one another.
    strict = closed or begun == set(types)
    opening = [tag in ("", "B", "S") or not strict for tag, _ in parts]
    closing = [not closed or tag in ("", "E", "S") for tag, _ in parts]
    any_end = tuple(n for n, ends in enumerate(closing) if ends)
    sets: dict[tuple[int, ...], int] = {}
    set_of = []
    for (tag, type_), opens in zip(parts, opening, strict=True):
        inside = {
            n for n, (other, of) in enumerate(parts) if tag in ("I", "E") and of == type_
            and other in ("B", "I")
        }  # fmt: skip
        before = tuple(sorted(inside | set(any_end if opens else ())))
        set_of.append(sets.setdefault(before, len(sets)))
    return Scheme(
        types,
        np.array([types.index(type_) if type_ else -1 for _, type_ in parts], dtype=np.int64),
        np.array([tag in ("B", "S") for tag, _ in parts]),
        np.array([tag in ("E", "S") for tag, _ in parts]),
        np.array(opening),
        np.array(closing),
        np.array(set_of, dtype=np.int64),
        np.cumsum([0, *map(len, sets)], dtype=np.int64),
        np.array([label for one in sets for label in one], dtype=np.int64),
        closed,
    )


def _parts(labels: Sequence[str], model: str) -> list[tuple[str, str]]:
    """(tag, type) of each label: ("", "") of O; of types without tags the tag is I."""
    inside = [label for label in labels if label.lower() not in _OUTSIDE]
    tagged = {label: _TAGGED.fullmatch(label) for label in inside}
    if len(inside) == len(labels):
        raise ConfigError(
            f"{model} has no label O: {', '.join(labels)}. Name a token classifier for entities."
        )
    if all(tagged.values()):
        split = {label: (_TAGS.get(m[1], m[1]), m[2]) for label, m in tagged.items() if m}
    elif not any(m and m[1] == "B" for m in tagged.values()):
        split = {label: ("I", label) for label in inside}
    else:
        strange = ", ".join(label for label, m in tagged.items() if not m)
        raise ConfigError(
            f"{model} has labels with tags (B-, I-, …) and labels without: {strange}. Name a token "
            "classifier of one scheme: BIO, BIOES, BILOU or types alone."
        )
    return [split.get(label, ("", "")) for label in labels]


def parts_of(names: Iterable[str], entities: Mapping[str, str]) -> tuple[tuple[str, ...], Ints]:
    """(types of ours, int64[names]: which of them each name stands for, -1 for none)."""
    ours = tuple(sorted(set(entities.values())))
    numbers = [ours.index(entities[name]) if name in entities else -1 for name in names]
    return ours, np.array(numbers, dtype=np.int64)
