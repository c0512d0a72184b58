"""Every pattern recogniser of Presidio, by entity and country, and the names a Config may use.

The table is written out so that a configuration can be checked, and a stranger can read what
exists, without importing Presidio (a second). A test compares it with the installed Presidio.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from unrote.corpus.errors import ConfigError


@dataclass(frozen=True)
class Entry:
    """One recogniser: what it finds, its class in Presidio, and its country ("" for everywhere).

    `default` says whether Presidio runs it when asked for English and nothing else.
    """

    entity: str
    recognizer: str
    country: str
    default: bool = False


ENTRIES = (
    Entry("CREDIT_CARD", "CreditCardRecognizer", "", default=True),
    Entry("CRYPTO", "CryptoRecognizer", "", default=True),
    Entry("DATE_TIME", "DateRecognizer", "", default=True),
    Entry("EMAIL_ADDRESS", "EmailRecognizer", "", default=True),
    Entry("IBAN_CODE", "IbanRecognizer", "", default=True),
    Entry("IP_ADDRESS", "IpRecognizer", "", default=True),
    Entry("MAC_ADDRESS", "MacAddressRecognizer", "", default=True),
    Entry("PHONE_NUMBER", "PhoneRecognizer", "", default=True),
    Entry("URL", "UrlRecognizer", "", default=True),
    Entry("UUID", "UuidRecognizer", "", default=True),
    Entry("AU_ABN", "AuAbnRecognizer", "au"),
    Entry("AU_ACN", "AuAcnRecognizer", "au"),
    Entry("AU_MEDICARE", "AuMedicareRecognizer", "au"),
    Entry("AU_TFN", "AuTfnRecognizer", "au"),
    Entry("CA_POSTAL_CODE", "CaPostalCodeRecognizer", "ca"),
    Entry("CA_SIN", "CaSinRecognizer", "ca"),
    Entry("DE_BSNR", "DeBsnrRecognizer", "de"),
    Entry("DE_FUEHRERSCHEIN", "DeFuehrerscheinRecognizer", "de"),
    Entry("DE_HANDELSREGISTER", "DeHandelsregisterRecognizer", "de"),
    Entry("DE_HEALTH_INSURANCE", "DeHealthInsuranceRecognizer", "de"),
    Entry("DE_ID_CARD", "DeIdCardRecognizer", "de"),
    Entry("DE_KFZ", "DeKfzRecognizer", "de"),
    Entry("DE_LANR", "DeLanrRecognizer", "de"),
    Entry("DE_PASSPORT", "DePassportRecognizer", "de"),
    Entry("DE_PLZ", "DePlzRecognizer", "de"),
    Entry("DE_SOCIAL_SECURITY", "DeSocialSecurityRecognizer", "de"),
    Entry("DE_TAX_ID", "DeTaxIdRecognizer", "de"),
    Entry("DE_TAX_NUMBER", "DeTaxNumberRecognizer", "de"),
    Entry("DE_VAT_ID", "DeVatIdRecognizer", "de"),
    Entry("ES_NIE", "EsNieRecognizer", "es"),
    Entry("ES_NIF", "EsNifRecognizer", "es"),
    Entry("ES_PASSPORT", "EsPassportRecognizer", "es"),
    Entry("FI_PERSONAL_IDENTITY_CODE", "FiPersonalIdentityCodeRecognizer", "fi"),
    Entry("IN_AADHAAR", "InAadhaarRecognizer", "in"),
    Entry("IN_GSTIN", "InGstinRecognizer", "in"),
    Entry("IN_PAN", "InPanRecognizer", "in"),
    Entry("IN_PASSPORT", "InPassportRecognizer", "in"),
    Entry("IN_VEHICLE_REGISTRATION", "InVehicleRegistrationRecognizer", "in"),
    Entry("IN_VOTER", "InVoterRecognizer", "in"),
    Entry("IT_DRIVER_LICENSE", "ItDriverLicenseRecognizer", "it"),
    Entry("IT_FISCAL_CODE", "ItFiscalCodeRecognizer", "it"),
    Entry("IT_IDENTITY_CARD", "ItIdentityCardRecognizer", "it"),
    Entry("IT_PASSPORT", "ItPassportRecognizer", "it"),
    Entry("IT_VAT_CODE", "ItVatCodeRecognizer", "it"),
    Entry("KR_BRN", "KrBrnRecognizer", "kr"),
    Entry("KR_DRIVER_LICENSE", "KrDriverLicenseRecognizer", "kr"),
    Entry("KR_FRN", "KrFrnRecognizer", "kr"),
    Entry("KR_PASSPORT", "KrPassportRecognizer", "kr"),
    Entry("KR_RRN", "KrRrnRecognizer", "kr"),
    Entry("NG_NIN", "NgNinRecognizer", "ng"),
    Entry("NG_VEHICLE_REGISTRATION", "NgVehicleRegistrationRecognizer", "ng"),
    Entry("PH_PASSPORT", "PhPassportRecognizer", "ph"),
    Entry("PH_TIN", "PhTinRecognizer", "ph"),
    Entry("PH_UMID", "PhUmidRecognizer", "ph"),
    Entry("PL_PESEL", "PlPeselRecognizer", "pl"),
    Entry("SE_ORGANISATIONSNUMMER", "SeOrganisationsnummerRecognizer", "se"),
    Entry("SE_PERSONNUMMER", "SePersonnummerRecognizer", "se"),
    Entry("SG_NRIC_FIN", "SgFinRecognizer", "sg"),
    Entry("SG_UEN", "SgUenRecognizer", "sg"),
    Entry("TH_TNIN", "ThTninRecognizer", "th"),
    Entry("TR_LICENSE_PLATE", "TrLicensePlateRecognizer", "tr"),
    Entry("TR_NATIONAL_ID", "TrNationalIdRecognizer", "tr"),
    Entry("UK_DRIVING_LICENCE", "UkDrivingLicenceRecognizer", "uk"),
    Entry("UK_NHS", "NhsRecognizer", "uk", default=True),
    Entry("UK_NINO", "UkNinoRecognizer", "uk"),
    Entry("UK_PASSPORT", "UkPassportRecognizer", "uk"),
    Entry("UK_POSTCODE", "UkPostcodeRecognizer", "uk"),
    Entry("UK_VEHICLE_REGISTRATION", "UkVehicleRegistrationRecognizer", "uk"),
    Entry("ABA_ROUTING_NUMBER", "AbaRoutingRecognizer", "us"),
    Entry("MEDICAL_LICENSE", "MedicalLicenseRecognizer", "us", default=True),
    Entry("US_BANK_NUMBER", "UsBankRecognizer", "us", default=True),
    Entry("US_CLAIM_NUMBER", "UsClaimNumberRecognizer", "us"),
    Entry("US_DRIVER_LICENSE", "UsLicenseRecognizer", "us", default=True),
    Entry("US_HEALTH_INSURANCE_MEMBER_ID", "UsHealthInsuranceMemberIdRecognizer", "us"),
    Entry("US_ITIN", "UsItinRecognizer", "us", default=True),
    Entry("US_MBI", "UsMbiRecognizer", "us"),
    Entry("US_NPI", "UsNpiRecognizer", "us"),
    Entry("US_PASSPORT", "UsPassportRecognizer", "us", default=True),
    Entry("US_PRESCRIPTION_NUMBER", "UsPrescriptionNumberRecognizer", "us"),
    Entry("US_PRIOR_AUTHORIZATION_NUMBER", "UsPriorAuthorizationNumberRecognizer", "us"),
    Entry("US_PROVIDER_TAX_ID", "UsProviderTaxIdRecognizer", "us"),
    Entry("US_REFERRAL_NUMBER", "UsReferralNumberRecognizer", "us"),
    Entry("US_SSN", "UsSsnRecognizer", "us", default=True),
    Entry("ZA_COMPANY_REGISTRATION", "ZaCompanyRegistrationRecognizer", "za"),
    Entry("ZA_DRIVER_LICENSE", "ZaDriverLicenseRecognizer", "za"),
    Entry("ZA_ID_NUMBER", "ZaIdNumberRecognizer", "za"),
    Entry("ZA_INCOME_TAX_NUMBER", "ZaIncomeTaxNumberRecognizer", "za"),
    Entry("ZA_LICENSE_PLATE", "ZaLicensePlateRecognizer", "za"),
    Entry("ZA_MOBILE_NUMBER", "ZaMobileNumberRecognizer", "za"),
    Entry("ZA_PASSPORT", "ZaPassportRecognizer", "za"),
    Entry("ZA_TELEPHONE_NUMBER", "ZaTelephoneNumberRecognizer", "za"),
    Entry("ZA_TRAFFIC_REGISTER_NUMBER", "ZaTrafficRegisterNumberRecognizer", "za"),
    Entry("ZA_VAT_NUMBER", "ZaVatNumberRecognizer", "za"),
)

HIPAA = (
    "CREDIT_CARD",
    "CRYPTO",
    "DATE_TIME",
    "EMAIL_ADDRESS",
    "IBAN_CODE",
    "IP_ADDRESS",
    "MAC_ADDRESS",
    "PHONE_NUMBER",
    "URL",
    "UUID",
    "ABA_ROUTING_NUMBER",
    "MEDICAL_LICENSE",
    "US_BANK_NUMBER",
    "US_CLAIM_NUMBER",
    "US_DRIVER_LICENSE",
    "US_HEALTH_INSURANCE_MEMBER_ID",
    "US_ITIN",
    "US_MBI",
    "US_NPI",
    "US_PASSPORT",
    "US_PRESCRIPTION_NUMBER",
    "US_PRIOR_AUTHORIZATION_NUMBER",
    "US_PROVIDER_TAX_ID",
    "US_REFERRAL_NUMBER",
    "US_SSN",
)
"""What of HIPAA's Safe Harbor list has a recogniser; docs/pii-hipaa.md says what has none."""

PRESETS: dict[str, tuple[str, ...]] = {
    "default": tuple(entry.entity for entry in ENTRIES if entry.default),
    "hipaa": HIPAA,
    "all": tuple(entry.entity for entry in ENTRIES),
}

PERSON = "PERSON"
POSSIBLE_PERSON = "POSSIBLE_PERSON"
"""What may be a person's name, and is not sure enough to be changed."""
NAME_TYPES = (PERSON, POSSIBLE_PERSON, "LOCATION", "ORGANIZATION")
"""What our own tagger finds (unrote.pii.names)."""

ADDRESS = "ADDRESS"
"""Street addresses and post boxes, which our own rules find (unrote.pii.addresses)."""

KNOWN_TYPES = (*PRESETS["all"], *NAME_TYPES, ADDRESS)
"""Types of personal data that are looked for without a model of the user's."""

COUNTRIES = tuple(sorted({entry.country for entry in ENTRIES if entry.country}))

REGISTRY_FLAGS = int(re.DOTALL | re.MULTILINE | re.IGNORECASE)
"""Those that Presidio's registry gives every recogniser it loads, whatever its class has: that of
IBANs minds the case by itself."""

_CREDIT_CARD_CONTEXT = (
    *("credit", "card", "visa", "mastercard", "cc", "amex", "discover", "jcb", "diners"),
    *("maestro", "instapayment"),
)
"""Presidio's own configuration for English differs from the class here, and only here."""


def resolve(names: Iterable[str]) -> tuple[Entry, ...]:
    """The entries that `names` (entities, countries, presets) stand for, in the table's order.

    Raises ConfigError for a name that is none of these.
    """
    entities: set[str] = set()
    for name in names:
        if name in PRESETS:
            entities.update(PRESETS[name])
        elif name.lower() in COUNTRIES:
            entities.update(entry.entity for entry in ENTRIES if entry.country == name.lower())
        else:
            check_entity(name, PRESETS["all"], "an entity, country or preset")
            entities.add(name)
    return tuple(entry for entry in ENTRIES if entry.entity in entities)


def check_entity(name: str, allowed: Iterable[str], kind: str = "an entity") -> None:
    """Raise ConfigError, with what exists and the nearest of it, unless `name` is allowed."""
    entities = tuple(allowed)
    if name in entities:
        return
    names = {known.lower(): known for known in (*entities, *COUNTRIES, *PRESETS)}
    longer = [known for known in names if len(name) > 2 and known.startswith(name.lower())]
    near = longer or get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    hint = f" Did you mean {names[near[0]]!r}?" if near else ""
    raise ConfigError(
        f"{name!r} is not {kind} that there is a recogniser for.{hint} "
        f"Presets: {', '.join(PRESETS)}. Countries: {', '.join(COUNTRIES)}. "
        f"Entities: {', '.join(entities)}."
    )


def build(entry: Entry) -> Any:
    """The Presidio recogniser of `entry`, for English text.

    Raises ConfigError where the installed Presidio does not have it.
    """
    from presidio_analyzer import predefined_recognizers  # noqa: PLC0415 (a second to import)

    made = getattr(predefined_recognizers, entry.recognizer, None)
    if made is None:
        raise ConfigError(
            f"The installed presidio-analyzer has no {entry.recognizer} (for {entry.entity}). "
            "Install presidio-analyzer >= 2.2.366, or leave the entity out."
        )
    context = {"context": list(_CREDIT_CARD_CONTEXT)} if entry.entity == "CREDIT_CARD" else {}
    recognizer = made(supported_language="en", **context)
    if hasattr(recognizer, "global_regex_flags"):
        recognizer.global_regex_flags = REGISTRY_FLAGS
    if entry.entity == "IBAN_CODE":
        recognizer.validate_result = _without_logging(recognizer.validate_result)
    return without_network(entry.entity, recognizer)


def without_network(entity: str, recognizer: Any) -> Any:
    """The recogniser of `entity`, made to answer from what is installed."""
    if entity == "EMAIL_ADDRESS":
        recognizer.validate_result = _has_registered_domain()
    return recognizer


def _has_registered_domain() -> Callable[[str], bool]:
    """What EmailRecognizer.validate_result says, from the list that tldextract brings with it.

    By itself tldextract asks the network for a newer one, so that results would depend on the day.
    """
    from tldextract import TLDExtract  # noqa: PLC0415 (as above)

    extract = TLDExtract(suffix_list_urls=(), cache_dir=None)
    return lambda address: extract(address).fqdn != ""


def _without_logging(validate: Callable[[str], bool | None]) -> Callable[[str], bool | None]:
    """What IbanRecognizer.validate_result says, without its log of texts that are no numbers.

    Without regard to case "[A-Z]" matches the Kelvin sign, which stands for no number.
    """
    return lambda text: validate(text) if text.upper().isascii() else False
