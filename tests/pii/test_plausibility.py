"""What is refused of Presidio's findings, and what stays: by kinds, each with and without."""

import ast
import contextlib
import json
import random
import sysconfig
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from presidio_analyzer.predefined_recognizers import IpRecognizer

from tests.examples import examples
from unrote.pii import plausibility
from unrote.pii.config import Config, actions_for, default_config
from unrote.pii.context import boosted
from unrote.pii.detector import Detector
from unrote.pii.keys import Key
from unrote.pii.recognizers import wrap
from unrote.pii.scrubbing import scrub_texts

KEY = Key(b"k" * 32)
OURS = Detector(Config(secrets=False, names=False, addresses=False))
PRESIDIO = Detector(Config(secrets=False, names=False, addresses=False, compatible=True))


def found(text, detector=OURS):
    return {
        (text[one.start : one.end], one.type)
        for one in detector.find_bytes(text.encode())
        if one.type not in ("URL", "DATE_TIME")
    }


NONE = [
    ("INT_MAX = 2147483647", "PHONE_NUMBER"),
    ("0.333333333,1.204511,304958671", "PHONE_NUMBER"),
    ("loss 0.693147181 after the epoch", "PHONE_NUMBER"),
    ("x = list(zip(a[::2], a[1::2]))", "IP_ADDRESS"),
    ("b[10::-1] and s[0::]", "IP_ADDRESS"),
    ("MASK = '255.255.255.0'", "IP_ADDRESS"),
    ("bind 224.0.0.251 for mDNS", "IP_ADDRESS"),
    ("version 10.21.33.4 of the tool", "IP_ADDRESS"),
    ("OID 1.3.6.1.4.1.311.2", "IP_ADDRESS"),
    ("Licensed under the Apache License v2", "US_DRIVER_LICENSE"),
    ("Certification Authority - G4", "US_DRIVER_LICENSE"),
    ("Kernel driver pc87360", "US_DRIVER_LICENSE"),
    ("drivers/media/i2c/ov8856.c", "US_DRIVER_LICENSE"),
    ("SPDX-License-Identifier: GPL-2.0\n\nTM6000 cards list", "US_DRIVER_LICENSE"),
    ("the driver of the DS2413 identifies itself", "US_DRIVER_LICENSE"),
    ("git clone git@example.net:nest/repo.git", "EMAIL_ADDRESS"),
    ("chars = '0123456789'", "UK_NHS"),
    ("check_exact((), 750394483, 12)", "US_BANK_NUMBER"),
    ("x = 0xeb4240266f544ef8", "MEDICAL_LICENSE"),
    ("def run(self, *, args=[URL], **more):", "DEID_MARKER"),
    ("the network 192.168.0.0/24 of the office", "PHONE_NUMBER"),
    ("udp 0 0 192.168.1.242:123 0.0.0.0:* 539/ntpd", "PHONE_NUMBER"),
    ("root 164 0.0 0.0 5416 2128 pts/1 Ss+ 01:49", "PHONE_NUMBER"),
    ("the machine-192-168-0-131.unrote.org", "PHONE_NUMBER"),
    ("quantize(Decimal('+35236450.6'))", "PHONE_NUMBER"),
    ("tf_l(-2147483646), -715827882)", "PHONE_NUMBER"),
    ("the local network (192.168.0.0/24), requires", "PHONE_NUMBER"),
    ("s**3 - 189296875*p**2 + q", "PHONE_NUMBER"),
    ("x*(202) 555-0143", "PHONE_NUMBER"),
    ("1.5e+49 30 901820", "PHONE_NUMBER"),
    ("beta (0.123) 456-7890", "PHONE_NUMBER"),
    ("10.3.1.1. Configuring the Server", "IP_ADDRESS"),
    ("an SSH tunnel (see Section 9.2.1.4, Tunnels)", "IP_ADDRESS"),
    ("range 81.2.69.0/24 and 10.0.0.0/8", "IP_ADDRESS"),
    ("12.4.2.2. Configurer un service", "IP_ADDRESS"),
    ("see Section 6.1.2.4, Stable Backports", "IP_ADDRESS"),
    ("proxy IN AAAA 2001:DB8:1000:2000::19", "IP_ADDRESS"),
    ("connect to 192.0.2.7 or 203.0.113.9", "IP_ADDRESS"),
    ("tmpfs 1627928 161800 1466128 10% /run", "CREDIT_CARD"),
    ("stamp 1627928161807 of the event", "CREDIT_CARD"),
    ("DM_UUID=mpath-4539578763621486", "CREDIT_CARD"),
    ("This page is: /text/shared/01/05040400.xhp", "PHONE_NUMBER"),
    ("see /text/sbasic/shared/03020402.xhp for it", "PHONE_NUMBER"),
    ("   30.00   33.85        28.66", "PHONE_NUMBER"),
    ("Intel CPU   88.638   0.9528", "PHONE_NUMBER"),
    ("17.12.1997 07:37:16.00 PST", "PHONE_NUMBER"),
    (":revision: 3.3 / 2012-01-11", "PHONE_NUMBER"),
    ("V4L2 Version 0.19 1999-06-05", "PHONE_NUMBER"),
    ("Boston, MA 02111-1307, USA.", "PHONE_NUMBER"),
    ("lun of: d2 04 0b 03 00 00 00 00, this", "PHONE_NUMBER"),
    ("maximum peak cell rate, from 170 - 353207.", "PHONE_NUMBER"),
    ("the ring buffer holds 2126647665 bytes", "PHONE_NUMBER"),
    ("4 172.16.18.91        0", "PHONE_NUMBER"),
    ("Prentice Hall, 1988. ISBN 0-13-110362-8 (paper), 0-13-110370-9 (hard)", "PHONE_NUMBER"),
    ("arp_ip_target=+192.168.1.1", "PHONE_NUMBER"),
    ("alloc waste=521872/1544 age", "PHONE_NUMBER"),
    ("[12977.571207] amd_pstate_ut", "PHONE_NUMBER"),
    ("[000] ...1 17284.993656: sub", "PHONE_NUMBER"),
    ("Sort (cost=197.83..200.33 rows=1000", "PHONE_NUMBER"),
    ("values between -32768 .. 32767", "PHONE_NUMBER"),
    ("volumeGroup-base: 0 2097152 snapshot", "PHONE_NUMBER"),
    ("pwms = <&pwm 0 40000 0>;", "PHONE_NUMBER"),
    ("axis: 0 1 2 3 4 5 6 7 8 9", "PHONE_NUMBER"),
    ("Bit 0 1 2-7 8-15 16-31", "PHONE_NUMBER"),
    ("timings 4938 304 64 46 1 192 3", "PHONE_NUMBER"),
    ("IT# 07  06  05  04  03  02  01  00", "PHONE_NUMBER"),
    ("JIS 4A0, 1682 x 2378 mm", "PHONE_NUMBER"),
    ("J. Comp. Appl. Maths 1 (1975) 165-184.", "PHONE_NUMBER"),
    ("Math. Monthly 77, 259-264 1970.", "PHONE_NUMBER"),
    ("y + 80 y + 7520 y + 49475840 y", "PHONE_NUMBER"),
    ("(3.1415926535...+2.7182818284...j)", "PHONE_NUMBER"),
    ("−1.30984955412 t2+9.3259443857 t", "PHONE_NUMBER"),
    ("[ 348/30625, 30589/30625, 198/6125]", "PHONE_NUMBER"),
    ("https://arxiv.org/abs/astro-ph/0602086", "PHONE_NUMBER"),
    ("DOI=10.1016/S0024-3795(03)00548-2", "PHONE_NUMBER"),
    ("DOI=10.1096/fj.09-152033;", "PHONE_NUMBER"),
    ("16817 49  LILHA-K-AQ", "PHONE_NUMBER"),
    ("s rn5.chr4       42326848 36 + 248343840", "PHONE_NUMBER"),
    ("Sat Apr 04 2009 22:08:44", "PHONE_NUMBER"),
    ("over the interval 1800-2050 below", "PHONE_NUMBER"),
    ("L 2 1 3000 4000 -500", "PHONE_NUMBER"),
    ("[16 16 1024 32]", "PHONE_NUMBER"),
    ("((16 17 18 19 20) (21 22))", "PHONE_NUMBER"),
    ("Options: 0-100000000", "PHONE_NUMBER"),
    ("112--34--567--89", "PHONE_NUMBER"),
    ("| Total Cells: 12127200 |", "PHONE_NUMBER"),
    ("driver: 0.9.13-370", "PHONE_NUMBER"),
    ("version 20140214-64", "PHONE_NUMBER"),
    ("TransformationNumber( 2242256790, 10 )", "PHONE_NUMBER"),
    ("(make-color 255 0 255 150)", "PHONE_NUMBER"),
    ("4.0 NaN 4.0 4.0 4.0 4.0 4.0", "PHONE_NUMBER"),
    ("Store_2 7.59 6.98 7.23", "PHONE_NUMBER"),
    ("(integer-in -32768 32767)", "PHONE_NUMBER"),
    ("(make-pulled-point 1/2 -20 60 0 1/2 20)", "PHONE_NUMBER"),
    ("Fri Jul 14 20:28:42-0400 2000", "PHONE_NUMBER"),
    ('["04-01-2012 10:00"]', "PHONE_NUMBER"),
    ("#f 0 1493494545.0 #f", "PHONE_NUMBER"),
    ("-1.039268 2001-01-03", "UK_NHS"),
    ("range: 0 - 510000 uA", "PHONE_NUMBER"),
    ("driver 09-10-2010  Jonas", "PHONE_NUMBER"),
    ("主机的子网掩码是255.255.255.0(二进制)", "PHONE_NUMBER"),
    ("linux-kernel&m=101637107412972&w=2", "CREDIT_CARD"),
    ("<24 43 93 200 431 928 2000 4309 9283 2000>", "UK_NHS"),
    ("the primary server (see Section 27.2.5.1).", "IP_ADDRESS"),
    ("servers of stable-backports (see 6.1.2.4)", "IP_ADDRESS"),
    ("To enable, add::\n\n   delayacct", "IP_ADDRESS"),
    ("these are invalid:\n::FFFF:d.d.d.d", "IP_ADDRESS"),
]
SOME = [
    ("phone = 2125551234", "2125551234", "PHONE_NUMBER"),
    ('{"phoneNumber": 2125551234}', "2125551234", "PHONE_NUMBER"),
    ("call (212) 664-7665 now", "(212) 664-7665", "PHONE_NUMBER"),
    ("call me at 2126647665", "2126647665", "PHONE_NUMBER"),
    ("text us 2126647665", "2126647665", "PHONE_NUMBER"),
    ("Mylex Corp.\n  510/796-6100", "510/796-6100", "PHONE_NUMBER"),
    ("Telephone: 33 (0)1 41 15 44 00", "33 (0)1 41 15 44 00", "PHONE_NUMBER"),
    ("06221 - 8675309", "06221 - 8675309", "PHONE_NUMBER"),
    ("01 41 15 44 00", "01 41 15 44 00", "PHONE_NUMBER"),
    ("UATP card 101637107412972", "101637107412972", "CREDIT_CARD"),
    ("Tél. 01 41 15 44 00", "01 41 15 44 00", "PHONE_NUMBER"),
    ("fax +1.2126647665", "+1.2126647665", "PHONE_NUMBER"),
    ("**Phone** (212) 664-7665", "(212) 664-7665", "PHONE_NUMBER"),
    ("*(212) 664-7665*", "(212) 664-7665", "PHONE_NUMBER"),
    ("tel*(212) 664-7665*ext", "(212) 664-7665", "PHONE_NUMBER"),
    ("write to me: e +49 30 901820", "+49 30 901820", "PHONE_NUMBER"),
    ("+49 30 901820", "+49 30 901820", "PHONE_NUMBER"),
    ("电话13912345678", "13912345678", "PHONE_NUMBER"),
    ("seen from 81.2.69.142 twice", "81.2.69.142", "IP_ADDRESS"),
    ("from fe80::1ff:fe23:4567:890a", "fe80::1ff:fe23:4567:890a", "IP_ADDRESS"),
    ("driver license: D1234567", "D1234567", "US_DRIVER_LICENSE"),
    ("Driver's License\nD1234567", "D1234567", "US_DRIVER_LICENSE"),
    ("driver_license,D1234567", "D1234567", "US_DRIVER_LICENSE"),
    ("his driving licence, D1234567,", "D1234567", "US_DRIVER_LICENSE"),
    ("license number is D1234567", "D1234567", "US_DRIVER_LICENSE"),
    ("CDLs: D1234567", "D1234567", "US_DRIVER_LICENSE"),
    ("NHS number 9434765919", "9434765919", "UK_NHS"),
    ("943 476 5919", "943 476 5919", "UK_NHS"),
    ("address 81.2.69.142/24", "81.2.69.142/24", "IP_ADDRESS"),
    ("nameserver 8.8.8.8", "8.8.8.8", "IP_ADDRESS"),
    ("http://4.2.13.1:8080/", "4.2.13.1", "IP_ADDRESS"),
    ("card 4539 5787 6362 1486", "4539 5787 6362 1486", "CREDIT_CARD"),
    ("card 3782 822463 10005", "3782 822463 10005", "CREDIT_CARD"),
    ("card 5555555555554444", "5555555555554444", "CREDIT_CARD"),
    ("mail git@unrote.org: it is read", "git@unrote.org", "EMAIL_ADDRESS"),
]


@pytest.mark.parametrize(("text", "type_"), NONE)
def test_what_only_looks_like_it_is_none(text, type_):
    assert type_ not in {one for _, one in found(text)}


@pytest.mark.parametrize(("text", "value", "type_"), SOME)
def test_what_is_meant_stays(text, value, type_):
    assert (value, type_) in found(text)


def test_context_words_are_words_everywhere():
    """Of every recogniser there is: "us" in "must" raises nothing, "us" and "US_id" do."""
    detector = Detector(Config(recognizers=("all",), secrets=False))
    contexts = {term for one in detector.recognizers for term in one.context}
    assert len(contexts) > 300
    for term in contexts:
        assert boosted(0.3, [term], [f"q{term}q", f"q{term}", f"{term}q"], whole=True) == 0.3
        if term.isalpha() and term.isascii():
            for word in (term, term.upper(), f"{term}_id", f"my_{term}"):
                assert boosted(0.3, [term], [word], whole=True) > 0.3, word


@pytest.mark.parametrize(
    ("within", "alone"),
    [
        ("a hotel 2126647665", "tel 2126647665"),
        ("recall 2126647665", "call 2126647665"),
        ("context 2126647665", "text 2126647665"),
        ("impatient 9434765919", "patient 9434765919"),
    ],
)
def test_so_are_the_words_that_name_a_number(within, alone):
    assert not found(within)
    assert found(alone)


BEFORE_NUMBERS = [
    *("phone", "Tel", "teléfono", "FAX", "my", "ph", "cell", "\u212a", "ring", "rings", "number"),
    *(
        " ",
        ".",
        ": ",
        "\n",
        "_",
        "電話",
        "x",
        "0",
        "c",
        "al",
        "l",
        "é",
        "mobileNumber",
        "deadbeef" * 8,
    ),
]


@examples(300)
@given(st.lists(st.sampled_from(BEFORE_NUMBERS), max_size=12).map("".join))
def test_a_word_that_names_phones_is_seen_as_its_expression_does(before):
    line = before[-plausibility.NEAR :].rpartition("\n")[2]
    expected = plausibility._speaks_of_phones.search(plausibility._camel.sub(" ", line))
    assert plausibility._is_named(before + "2125551234", len(before)) == (expected is not None)


def test_compatible_finds_what_presidio_finds():
    assert any(type_ == "IP_ADDRESS" for _, type_ in found("zip(a[::2], a[1::2])", PRESIDIO))
    assert any(type_ == "PHONE_NUMBER" for _, type_ in found("MAX = 2147483647", PRESIDIO))


before = st.sampled_from(["请联系", "メール", "Почта", "بريد", "อีเมล", "전자", "(", " ", "—"])
behind = st.sampled_from(["或", "まで", "и", "أو", "ครับ", "로", ")", " ", "。"])


@examples(80)
@given(before, behind)
def test_an_address_beside_another_script_has_right_edges(lead, rest):
    assert found(f"{lead}jane.roe@unrote.org{rest}") == {("jane.roe@unrote.org", "EMAIL_ADDRESS")}


@pytest.mark.parametrize("address", ["müller@unrote.org", "иван.петров@unrote.org"])
def test_an_address_of_another_script_stays_whole(address):
    assert found(f"An {address} senden") == {(address, "EMAIL_ADDRESS")}


@pytest.mark.parametrize("escape", ["\\n", "\\t", "\\r", "\\u000a", "\\x0a"])
def test_an_address_begins_behind_an_escape(escape):
    text = f'{{"c": "Contact:{escape}jane.roe@unrote.org{escape}Thanks"}}'
    assert ("jane.roe@unrote.org", "EMAIL_ADDRESS") in found(text)
    text = r"C:\\nora.roe@unrote.org"  # a backslash that is escaped itself
    assert ("nora.roe@unrote.org", "EMAIL_ADDRESS") in found(text)


@pytest.mark.parametrize(
    "line",
    [
        " ".join(str(1588888888 + 3601 * n) for n in range(20_000)),
        "123 456 789 " * 20_000,
        "8" * 200_000,
        "0.333333333," * 20_000,
        "QUJDREVGRzEyMzQ1Njc4OTA" * 9_000,
    ],
)
def test_numbers_in_one_line_take_linear_time(line):
    """200 kB each, where 44 kB took half a minute: processor seconds, with room for a slow one."""
    began = time.process_time()
    assert not {type_ for _, type_ in found(line)} & {"PHONE_NUMBER", "UK_NHS"}
    assert time.process_time() - began < 10


def _sources(count):
    """Files of the standard library that parse, the same ones for each version of Python."""
    folder = Path(sysconfig.get_paths()["stdlib"])
    paths = sorted(path for path in folder.rglob("*.py") if "site-packages" not in path.parts)
    for path in random.Random(3).sample(paths, count):
        source = path.read_text("utf-8", "replace")
        with contextlib.suppress(SyntaxError, ValueError):
            ast.parse(source)
            yield source


def test_scrubbed_code_and_json_parse_where_they_did():
    """Each file as it is, and as a string in JSON, whose escapes a finding may begin in."""
    sources = list(_sources(60))
    texts = [*sources, *(json.dumps({"code": one, "n": [1, 2.5]}) for one in sources)]
    done = scrub_texts(
        texts, list(map(str, range(len(texts)))), default_config(), actions_for(), KEY
    )
    assert not done.rejected
    for text in done.texts[: len(sources)]:
        ast.parse(text)
    for text in done.texts[len(sources) :]:
        json.loads(text)
    assert done.texts != texts


IP_PIECES = (
    *("::", ":", "ffff", "0", "12", "a", "1.2", ".3", ".4", "/24"),
    *("Foo", "é", " ", "%eth0", "\n", "_", "g:"),
)


@examples(100)
@given(st.lists(st.sampled_from(IP_PIECES), max_size=14).map("".join))
def test_addresses_are_tried_where_they_can_begin(text):
    ips = wrap(IpRecognizer(), Config(threshold=0))
    for expression, _ in ips._patterns:
        ours = [match.span() for match in ips._matches(expression, text)]
        assert ours == [match.span() for match in expression.finditer(text)]
