"""WARC: the text of WET files, every other record byte for byte, digests that fit."""

import gzip
import io

import pytest
from fastwarc.warc import ArchiveIterator as FastIterator
from hypothesis import given
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from tests.corpus.helpers import read_all, rewritten
from tests.examples import examples
from unrote.corpus.errors import InputError
from unrote.corpus.formats.warc import CORRUPT, _digest
from unrote.corpus.pinning import pin
from unrote.corpus.rows import Fields

# warcio's writer, which makes the files here, leaves temporary files to the collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

texts = st.text(st.sampled_from("ab \r\né"), min_size=1, max_size=12)


def wet(found: list[str], packed: bool) -> bytes:
    """A WET file as Common Crawl has them; every second record is metadata."""
    made = io.BytesIO()
    writer = WARCWriter(made, gzip=packed)
    writer.write_record(writer.create_warcinfo_record("a.wet", {"software": "tests"}))
    for number, text in enumerate(found):
        for kind, content in (("conversion", text.encode()), ("metadata", b"languages: en\r\n")):
            writer.write_record(
                writer.create_warc_record(
                    f"https://unrote.org/{number}",
                    kind,
                    payload=io.BytesIO(content),
                    warc_content_type="text/plain" if kind == "conversion" else "text/x-fields",
                    warc_headers_dict={"WARC-Date": "2026-01-02T03:04:05Z"},
                )
            )
    return made.getvalue()


def records(content: bytes) -> list[tuple[str, str, bytes]]:
    """What warcio reads, its digests checked."""
    found = []
    iterator = ArchiveIterator(io.BytesIO(content), check_digests="raise")
    for one in iterator:
        uri = one.rec_headers.get_header("WARC-Target-URI")
        found.append((one.rec_type, uri, one.content_stream().read()))
    return found


@examples(100)
@given(st.lists(texts, min_size=1, max_size=5), st.booleans(), st.data())
def test_edits_and_removals(tmp_path_factory, found, packed, data):
    path = tmp_path_factory.mktemp("w") / ("a.warc.wet.gz" if packed else "a.wet")
    content = wet(found, packed)
    path.write_bytes(content)
    everywhere = st.integers(0, len(found) - 1)
    changes = data.draw(st.dictionaries(everywhere, st.none() | texts))
    rows, rejected = read_all(pin([path]))
    assert rejected == []
    assert [row["text"] for row in rows] == found
    assert all(row["id"].startswith("<urn:uuid:") for row in rows)
    assert rewritten(path, [], path.parent / "same") == content
    out = rewritten(path, sorted(changes.items()), path.parent / "out")
    want = [
        (kind, uri, block if kind != "conversion" else changes.get(n, found[n]).encode())
        for at, (kind, uri, block) in enumerate(records(content))
        for n in [(at - 1) // 2]
        if kind != "conversion" or changes.get(n, "") is not None
    ]
    assert records(out) == want
    fast = [(one.headers["WARC-Type"], one.reader.read()) for one in FastIterator(io.BytesIO(out))]
    assert fast == [(kind, block) for kind, _, block in want]


def test_headers_are_fields_and_rows_are_selected(tmp_path):
    (tmp_path / "a.wet").write_bytes(wet(["a", "b", "c"], False))
    fields = Fields(id="WARC-Target-URI", source="warc-type", order="WARC-Date")
    rows, _ = read_all(pin([tmp_path]), fields, selected=[1, 2])
    assert [(row["id"], row["source"], row["text"]) for row in rows] == [
        ("https://unrote.org/1", "conversion", "b"),
        ("https://unrote.org/2", "conversion", "c"),
    ]
    assert rows[0]["order"] == "2026-01-02T03:04:05Z"


def test_what_is_rejected(tmp_path):
    made = io.BytesIO(wet(["a"], True))
    made.seek(0, io.SEEK_END)
    writer = WARCWriter(made, gzip=True)
    status = StatusAndHeaders("200 OK", [("Content-Type", "text/html")], protocol="HTTP/1.0")
    page = io.BytesIO(b"<p>b</p>")
    writer.write_record(
        writer.create_warc_record("https://b", "response", payload=page, http_headers=status)
    )
    for content, kind in ((b"c" * 50, "text/plain"), (b"\xff", "text/plain"), (b"d", "image/png")):
        writer.write_record(
            writer.create_warc_record(
                "https://c", "resource", payload=io.BytesIO(content), warc_content_type=kind
            )
        )
    path = tmp_path / "a.warc.gz"
    path.write_bytes(made.getvalue())
    rows, rejected = read_all(pin([path]), Fields(max_document=40))
    assert [row["text"] for row in rows] == ["a"]
    assert [row["reason"] for row in rejected] == [
        "response record: no text is taken from HTTP and HTML; give the crawl's WET file, or "
        "make text of it (datatrove: WarcReader, Trafilatura, JsonlWriter)",
        "document longer than 40 bytes: split it, or raise input.max_document",
        "invalid UTF-8",
        "resource record that is not text/plain",
    ]
    out = rewritten(path, [], tmp_path / "out", max_document=40)
    assert [kind for kind, _, _ in records(out)] == ["warcinfo", "conversion", "metadata"]


@pytest.mark.parametrize("packed", [True, False])
def test_cut_off(tmp_path, packed):
    content = wet(["a", "b" * 500], packed)
    path = tmp_path / ("a.wet.gz" if packed else "a.wet")
    whole = wet(["a"], packed)
    path.write_bytes(content[: len(whole) + (150 if packed else 350)])
    rows, rejected = read_all(pin([path]))
    assert [row["text"] for row in rows] == ["a"]
    assert [(row["row"], row["reason"]) for row in rejected] == [(1, CORRUPT)]
    out = rewritten(path, [], tmp_path / "out")
    assert [block for kind, _, block in records(out) if kind == "conversion"] == [b"a"]


def test_one_member_of_gzip_and_other_files(tmp_path):
    (tmp_path / "a.wet.gz").write_bytes(gzip.compress(wet(["a", "b"], False)))
    _rows, rejected = read_all(pin([tmp_path]))
    assert len(rejected) == 1
    assert rejected[0]["reason"] == CORRUPT
    (tmp_path / "b.warc").write_bytes(b"no WARC")
    with pytest.raises(InputError, match="does not start as a WARC file"):
        pin([tmp_path])


def test_digests():
    assert _digest("sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ", b"") == (
        "sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ"
    )
    assert _digest("md5:" + "0" * 32, b"") == "md5:d41d8cd98f00b204e9800998ecf8427e"
    assert _digest("blake9:00", b"") is None
