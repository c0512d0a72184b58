"""The `unrote` command. Imports what a command needs when it is called, so that --help is quick."""

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from unrote.corpus import display
from unrote.corpus.errors import UsageError
from unrote.corpus.version import VERSION
from unrote.pipelines import exits
from unrote.pipelines.start import start_quickly


class _Commands(TyperGroup):
    """Takes what typer would end with a status of its own, which would mean something else here."""

    def invoke(self, ctx: Any) -> Any:
        try:
            try:
                with _safe_to_show():
                    return super().invoke(ctx)
            finally:
                if sys.stdout is not None:  # as after >&-
                    sys.stdout.flush()
        except KeyboardInterrupt:
            raise exits.interrupted() from None
        except (BrokenPipeError, SystemExit):  # the latter is what rich makes of the former
            exits.close_stdout()
            raise typer.Exit(exits.FAILED) from None

    def make_context(self, *args: Any, **options: Any) -> Any:
        with _safe_to_show():
            return super().make_context(*args, **options)


@contextmanager
def _safe_to_show() -> Iterator[None]:
    """What typer says of arguments that it cannot take, which it quotes as they are."""
    try:
        yield
    except Exception as error:
        if isinstance(message := getattr(error, "message", None), str):
            error.message = display.line(message)  # type: ignore[attr-defined]
        raise


def _say(text: object) -> None:
    """One line on stdout."""
    typer.echo(display.line(text))


app = typer.Typer(
    name="unrote",
    cls=_Commands,
    help="Stops language models from learning their training data by rote: removes duplicates, "
    "replaces personal data, and proves what it did.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

DEDUPLICATION = ("exact", "near", "passages")
"""Its sections in the settings."""

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Files, folders, globs or fsspec URLs: JSON lines, CSV, Parquet, Markdown, text.",
        show_default=False,
    ),
]
Out = Annotated[
    str, typer.Option("-o", "--out", metavar="OUT", help="Folder or fsspec URL for the result.")
]
FinishedRun = Annotated[
    str, typer.Argument(metavar="OUT", help="The folder of a finished run, or its URL.")
]
StorageConfig = Annotated[
    Path | None,
    typer.Option("-c", "--config", metavar="FILE", help="Settings; [storage] of them is used."),
]
ConfigFile = Annotated[
    Path | None, typer.Option("-c", "--config", metavar="FILE", help="Settings, as TOML.")
]
Overrides = Annotated[
    list[str],
    typer.Option(
        "--set", metavar="KEY=VALUE", help="One setting, for example dedup.near.threshold=0.7."
    ),
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Start over, dropping what OUT holds of a run.")
]
BreakLock = Annotated[
    bool,
    typer.Option(
        "--break-lock", help="Take OUT from a run on another machine that does not give it back."
    ),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress and no summary.")]
EngineName = Annotated[
    str, typer.Option("--engine", metavar="NAME", help="Where to run: local, spark or beam.")
]
Against = Annotated[
    list[str],
    typer.Option(
        metavar="FILE[#FIELD,…]",
        help="An evaluation set that the corpus must not contain, and the fields of its items.",
    ),
]
KeepRemoved = Annotated[
    str, typer.Option(metavar="FOLDER", help="Keep what is removed there, outside OUT.")
]
IndexFolder = Annotated[
    str,
    typer.Option(
        "--index",
        metavar="INDEX",
        help="Folder or URL of an index: of what earlier runs kept, and this one for later ones.",
    ),
]


def _settings(
    config: Path | None,
    overrides: list[str],
    fixed: dict[str, Any] | None = None,
    break_lock: bool = False,
    against: Sequence[str] = (),
    **shortcuts: str,
) -> Any:
    """The settings; `fixed` are those that the command itself decides, whatever is given.
    against: evaluation sets besides those of the settings.
    """
    from unrote.pipelines.config import load, with_sets  # noqa: PLC0415

    named = {key.replace("__", "."): value for key, value in shortcuts.items() if value}
    if break_lock:
        named["output.lock"] = "break"
    return with_sets(load(config, overrides, named | (fixed or {})), against)


def _share_of(written: str) -> float:
    """0.05 of 5% or 0.05. Raises UsageError for what is no share."""
    try:
        share = float(written.removesuffix("%").strip()) / (100 if written.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise UsageError(f"--sample {written}: give a share above 0 and at most 1, as 5% or 0.05.")
    return share


def _reach_stores(config: Path | None) -> None:
    """Reach stores as a file of settings says, in commands that take their settings from OUT."""
    if config is not None:
        from unrote.corpus.storage import use_options  # noqa: PLC0415

        use_options(_settings(config, []).storage.options)


def _clean(kind: str, inputs: list[str], out: str, settings: Any, fresh: bool, quiet: bool) -> None:
    start_quickly()
    from unrote.pipelines.clean import clean as run  # noqa: PLC0415
    from unrote.pipelines.progress import progress_for  # noqa: PLC0415
    from unrote.pipelines.report.terminal import print_summary  # noqa: PLC0415

    report = run(inputs, out, settings, progress_for(quiet), kind=kind, fresh=fresh)
    if not quiet:
        print_summary(report, out)


@app.command()
def clean(
    inputs: Inputs,
    out: Out,
    config: ConfigFile = None,
    overrides: Overrides = [],  # noqa: B006 - typer copies it
    engine: EngineName = "",
    keep_removed: KeepRemoved = "",
    index: IndexFolder = "",
    against: Against = [],  # noqa: B006
    fresh: Fresh = False,
    break_lock: BreakLock = False,
    quiet: Quiet = False,
) -> None:
    """Clean a corpus: remove duplicates, replace personal data, write the rest
    and a report.
    """
    settings = _settings(
        config,
        overrides,
        break_lock=break_lock,
        against=against,
        engine__name=engine,
        output__keep_removed=keep_removed,
        dedup__index=index,
    )
    _clean("clean", inputs, out, settings, fresh, quiet)


@app.command()
def dedup(
    inputs: Inputs,
    out: Out,
    config: ConfigFile = None,
    overrides: Overrides = [],  # noqa: B006
    engine: EngineName = "",
    keep_removed: KeepRemoved = "",
    index: IndexFolder = "",
    fresh: Fresh = False,
    break_lock: BreakLock = False,
    quiet: Quiet = False,
) -> None:
    """The deduplication part of clean alone: duplicate documents and passages."""
    settings = _settings(
        config,
        overrides,
        {"pii.enabled": False, "memorization.enabled": False},
        break_lock,
        engine__name=engine,
        output__keep_removed=keep_removed,
        dedup__index=index,
    )
    _clean("dedup", inputs, out, settings, fresh, quiet)


@app.command()
def scrub(
    inputs: Inputs,
    out: Out,
    config: ConfigFile = None,
    overrides: Overrides = [],  # noqa: B006
    engine: EngineName = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count; write tables and report, no data.")
    ] = False,
    fresh: Fresh = False,
    break_lock: BreakLock = False,
    quiet: Quiet = False,
) -> None:
    """The personal-data part of clean alone: find it, and the traces of its removal, and replace
    both.
    """
    fixed: dict[str, Any] = {f"dedup.{part}.enabled": False for part in DEDUPLICATION}
    fixed |= {"pii.enabled": True, "memorization.enabled": False, "output.keep_removed": ""}
    fixed["dedup.index"] = ""
    if dry_run:
        fixed["output.data"] = False
    settings = _settings(config, overrides, fixed, break_lock, engine__name=engine)
    _clean("scrub", inputs, out, settings, fresh, quiet)


@app.command()
def score(
    inputs: Inputs,
    out: Out,
    config: ConfigFile = None,
    overrides: Overrides = [],  # noqa: B006
    engine: EngineName = "",
    model: Annotated[
        str, typer.Option(metavar="NAME", help="The reference model: default, a folder, or a name.")
    ] = "",
    fresh: Fresh = False,
    break_lock: BreakLock = False,
    quiet: Quiet = False,
) -> None:
    """The memorization part of clean alone: which sequences are extractable from a model trained on
    this text. Writes tables and a report, no data.
    """
    shortcuts = {"engine__name": engine, "memorization__model": model}
    settings = _settings(config, overrides, _scored_as_it_is(), break_lock, **shortcuts)
    _clean("score", inputs, out, settings, fresh, quiet)


@app.command()
def proxy(
    inputs: Inputs,
    out: Out,
    config: ConfigFile = None,
    overrides: Overrides = [],  # noqa: B006
    engine: EngineName = "",
    minutes: Annotated[float, typer.Option(min=0.01, help="Time to train for, about.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Of the proxy model's weights and order.")] = 0,
    fresh: Fresh = False,
    break_lock: BreakLock = False,
    quiet: Quiet = False,
) -> None:
    """Train a proxy model on a corpus as it is, for some minutes: which sequences are extractable
    from it? Names them, and recalibrates the risk to this corpus.
    """
    start_quickly()
    from unrote.pipelines.progress import progress_for  # noqa: PLC0415
    from unrote.pipelines.proxy import proxy as run  # noqa: PLC0415
    from unrote.pipelines.report.proxy import print_proxy  # noqa: PLC0415

    settings = _settings(config, overrides, _scored_as_it_is(), break_lock, engine__name=engine)
    progress = progress_for(quiet)
    result = run(inputs, out, settings, progress, minutes=minutes, seed=seed, fresh=fresh)
    if not quiet:
        print_proxy(result, out)


def _scored_as_it_is() -> dict[str, Any]:
    """Settings of commands that score a corpus as it is and write none."""
    fixed: dict[str, Any] = {f"dedup.{part}.enabled": False for part in DEDUPLICATION}
    fixed |= {"pii.enabled": False, "memorization.enabled": True, "dedup.index": ""}
    return fixed | {
        "output.data": False, "output.keep_removed": "", "memorization.action": "report"
    }  # fmt: skip


@app.command()
def gate(
    inputs: Inputs,
    policy: Annotated[
        Path, typer.Option(metavar="FILE", help="Limits, as TOML (unrote init --policy).")
    ],
    out: Annotated[
        str,
        typer.Option(
            "-o", "--out", metavar="OUT", help="Folder for tables and report; none: not kept."
        ),
    ] = "",
    config: ConfigFile = None,
    overrides: Overrides = [],  # noqa: B006
    engine: EngineName = "",
    formats: Annotated[
        list[str],
        typer.Option(
            "--format",
            metavar="NAME[=FILE]",
            help="How the verdict is given: text, json, markdown, junit, sarif, github; on stdout "
            "or in a file. [text]",
        ),
    ] = [],  # noqa: B006
    baseline: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Count only what this baseline does not have."),
    ] = None,
    write_baseline: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Accept all that is there: write it as a baseline."),
    ] = None,
    against: Against = [],  # noqa: B006
    sample: Annotated[
        str,
        typer.Option(
            metavar="SHARE",
            help="Search so many of the documents for personal data: 5% or 0.05. [all]",
        ),
    ] = "",
    waivers: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What may stay, as TOML: why, who says so, until when."),
    ] = None,
    fresh: Fresh = False,
    break_lock: BreakLock = False,
    quiet: Quiet = False,
) -> None:
    """Hold a corpus against a policy before training. Status 0: passed, 1: refused."""
    start_quickly()
    from unrote.pipelines.gate import gate as run  # noqa: PLC0415
    from unrote.pipelines.progress import progress_for  # noqa: PLC0415
    from unrote.pipelines.report.verdict_files import asked_formats, write_verdict  # noqa: PLC0415

    asked = asked_formats(formats)
    settings = _settings(
        config,
        overrides,
        {"pii.sample": _share_of(sample)} if sample else None,
        break_lock=break_lock,
        against=against,
        engine__name=engine,
    )
    accepted = {"baseline": baseline, "write_baseline": write_baseline, "waivers": waivers}
    report = run(inputs, policy, out, settings, progress_for(quiet), fresh=fresh, **accepted)
    write_verdict(asked, report, policy, out)
    raise typer.Exit(0 if report.passed else 1)


@app.command()
def show(
    out: FinishedRun,
    doc: Annotated[str, typer.Argument(metavar="DOC", help="A doc key, an id, or SHARD#ROW.")],
    config: StorageConfig = None,
) -> None:
    """Why a document or a passage went, beside its twin or witness."""
    _reach_stores(config)
    from rich.console import Console  # noqa: PLC0415

    from unrote.pipelines.show import show as lay_out  # noqa: PLC0415

    console = Console(highlight=False, markup=False, emoji=False)
    console.print(lay_out(out, doc, width=console.width))


@app.command()
def verify(
    out: FinishedRun,
    recall: Annotated[
        bool,
        typer.Option("--recall", help="Measure how many near-duplicates are left, by datasketch."),
    ] = False,
    sample: Annotated[
        int | None,
        typer.Option(min=2, metavar="N", help="Documents that --recall looks at. [100,000]"),
    ] = None,
    config: StorageConfig = None,
) -> None:
    """Check every promise from the input and OUT alone. Status 1: a promise is broken, 2: it cannot
    be measured.
    """
    from unrote.pipelines.progress import progress_for  # noqa: PLC0415
    from unrote.pipelines.verify import DOCUMENTS, print_verdict  # noqa: PLC0415
    from unrote.pipelines.verify import verify as check  # noqa: PLC0415

    if sample is not None and not recall:
        raise UsageError("--sample says what --recall looks at. Give --recall too.")
    _reach_stores(config)
    with progress_for(False).aside("verify"):
        verdict = check(out, recall=recall, sample=sample or DOCUMENTS)
    print_verdict(verdict)
    unmeasured = verdict.recall is not None and verdict.recall.holds is None
    raise typer.Exit((UsageError.exit_status if unmeasured else 0) if verdict.ok else 1)


@app.command()
def status(
    out: Annotated[str, typer.Argument(metavar="OUT", help="The folder of a run, or its URL.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for monitors.")] = False,
    config: StorageConfig = None,
) -> None:
    """How far a run is. Status 0: finished, 1: its verdict is refused, 2: there is none,
    3: interrupted, 4: it goes on.
    """
    _reach_stores(config)
    from unrote.pipelines.status import lines  # noqa: PLC0415
    from unrote.pipelines.status import status as look  # noqa: PLC0415

    found = look(out)
    if as_json:
        typer.echo(display.json_text(found.model_dump_json()))
    else:
        for line in lines(found):
            _say(line)
    raise typer.Exit(found.exit_status)


@app.command()
def report(out: FinishedRun, config: StorageConfig = None) -> None:
    """Rebuild report.json and report.html of a finished run from its tables."""
    _reach_stores(config)
    from unrote.pipelines.progress import progress_for  # noqa: PLC0415
    from unrote.pipelines.publish import rebuild  # noqa: PLC0415

    with progress_for(False).aside("report"):
        path = rebuild(out)
    _say(path)


@app.command()
def card(
    out: FinishedRun,
    folder: Annotated[
        str | None,
        typer.Option("-o", "--to", metavar="FOLDER", help="Where to write. [OUT-card]"),
    ] = None,
    answers: Annotated[
        str | None, typer.Option(metavar="FILE", help="What a person says, as TOML.")
    ] = None,
    urls: Annotated[
        str, typer.Option(metavar="FIELD", help="The field with a row's URL, to list domains.")
    ] = "",
    config: StorageConfig = None,
) -> None:
    """Write a dataset card, Croissant metadata and the summary of training content of the EU AI
    Act, with gaps for a person marked.
    """
    _reach_stores(config)
    from unrote.pipelines.card import card as write  # noqa: PLC0415

    written = write(out, folder, answers=answers, url_field=urls)
    for path in written.files:
        _say(path)
    for key, question in written.gaps.items():
        typer.echo(f"to be filled in: {key}: {question}", err=True)


@app.command()
def init(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")] = Path(
        "unrote.toml"
    ),
    policy: Annotated[
        bool, typer.Option("--policy", help="Write a gate's policy instead.")
    ] = False,
    preset: Annotated[
        str,
        typer.Option(
            metavar="KIND",
            help="Set what suits a kind of corpus: web, chat, instruction, code; for a policy: "
            "strict, web, medical, code, chat.",
        ),
    ] = "default",
) -> None:
    """Write a commented unrote.toml with every setting at its default."""
    from unrote.pipelines.template import (  # noqa: PLC0415
        POLICIES,
        PRESETS,
        policy_template,
        settings_template,
    )

    known = POLICIES if policy else PRESETS
    if preset not in known:
        what = "a policy" if policy else "settings"
        raise UsageError(f"no preset {preset!r} of {what}. There are {', '.join(known)}.")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(policy_template(preset) if policy else settings_template(preset))
    except FileExistsError:
        raise UsageError(f"{path} exists; it is left as it is. Name another file.") from None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}. Name another file.") from None
    _say(f"wrote {path}")


@app.command()
def explain(config: ConfigFile = None, overrides: Overrides = []) -> None:  # noqa: B006
    """The phases that a run with these settings has, and what each reads and writes."""
    from unrote.pipelines.explain import explain as describe  # noqa: PLC0415

    typer.echo(describe(_settings(config, overrides)))


@app.command()
def demo(
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="An empty or new folder.")] = Path(
        "demo"
    ),
    fresh: Fresh = False,
) -> None:
    """Clean a corpus made from text on this machine: the files of the installed Python packages."""
    from unrote.pipelines.demo import make_corpus  # noqa: PLC0415

    corpus = make_corpus(out / "corpus")
    _say(f"corpus: {corpus}")
    _clean("clean", [str(corpus)], str(out / "cleaned"), _settings(None, [], {}), fresh, False)


index_app = typer.Typer(
    help="Look after an index that runs add to (clean --index).", no_args_is_help=True
)
app.add_typer(index_app, name="index")

AnIndex = Annotated[
    str, typer.Argument(metavar="INDEX", help="The folder of an index, or its URL.")
]


@index_app.command("info")
def index_info(index: AnIndex, config: StorageConfig = None) -> None:
    """What an index holds: runs, documents, bytes, and the settings that it was made with."""
    _reach_stores(config)
    from unrote.pipelines.index.maintenance import described, info  # noqa: PLC0415

    for line in described(info(index)):
        _say(line)


@index_app.command("verify")
def index_verify(index: AnIndex, config: StorageConfig = None) -> None:
    """Check that an index is what was written, and its keys are of its texts. Status 1: not so."""
    _reach_stores(config)
    from unrote.pipelines.index.maintenance import verify as check  # noqa: PLC0415

    problems = check(index)
    for line in problems:
        _say(line)
    _say("The index is damaged: bring it back from a copy." if problems else "The index is whole.")
    raise typer.Exit(1 if problems else 0)


@index_app.command("compact")
def index_compact(index: AnIndex, config: StorageConfig = None) -> None:
    """Merge the files of an index into as few as may be; what it holds stays the same."""
    _reach_stores(config)
    from unrote.pipelines.index.maintenance import compact  # noqa: PLC0415

    before, after = (len(set(head.index.files)) for head in compact(index))
    _say(f"{before} files before, {after} now")


@index_app.command("forget")
def index_forget(
    index: AnIndex,
    ids: Annotated[
        list[str], typer.Option("--id", metavar="ID", help="A document; may be given again.")
    ] = [],  # noqa: B006
    older_than: Annotated[
        str,
        typer.Option(
            metavar="AGE", help="What runs before then added: 90d, 12w, or a date (2026-01-31)."
        ),
    ] = "",
    block: Annotated[
        bool,
        typer.Option(
            "--block", help="Reject these texts in later runs; of them a keyed hash stays."
        ),
    ] = False,
    config: StorageConfig = None,
) -> None:
    """Take documents out of an index: nothing in it derives from them afterwards."""
    from unrote.pipelines.index.maintenance import forget  # noqa: PLC0415

    if not ids and not older_than:
        raise UsageError("name what is to be forgotten with --id ID, or --older-than AGE.")
    _reach_stores(config)
    gone = forget(index, ids=ids, older_than=older_than, block=block)
    also = f", and {gone.near_duplicates} near-duplicates of them" if gone.near_duplicates else ""
    kept = f"; {gone.listed} may not come back" if block else ""
    _say(f"{gone.documents} documents were forgotten{also}{kept}")


@index_app.command("rekey")
def index_rekey(
    index: AnIndex,
    key_file: Annotated[
        str,
        typer.Option("--key-file", metavar="FILE", help="The new key. [that of UNROTE_KEY]"),
    ] = "",
    config: StorageConfig = None,
) -> None:
    """Let an index be used with another key, after that of surrogates was changed."""
    _reach_stores(config)
    from unrote.pii.keys import load_key  # noqa: PLC0415
    from unrote.pipelines.index.maintenance import rekey  # noqa: PLC0415

    key = load_key(key_file)
    if key is None:
        raise UsageError("name the new key: --key-file FILE, or the variable UNROTE_KEY.")
    before, now = rekey(index, key.fingerprint())
    _say(f"the key was {before[:8] or 'none'}, and is {now[:8]}")


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"unrote {VERSION}")
        raise typer.Exit


def main() -> None:
    """Run the command line: status 0 passed, 1 refused, 2 usage or settings, 3 the run failed."""
    exits.fill_closed()
    exits.catch_signals()
    try:
        app()
    except Exception as error:  # noqa: BLE001 - the last one who can say what went wrong
        sys.exit(exits.report(error))


def command() -> None:
    """The `unrote` program: `main`, and then gone.

    Imports and the compiler make many objects and leave no garbage, so looking for it is put off;
    and when all is written and closed, the process ends without taking down the compiler's state.
    Together that saves 0.4 s of every call.
    """
    gc.set_threshold(100_000)
    try:
        main()
    except SystemExit as end:
        exits.leave(end.code if isinstance(end.code, int) else exits.FAILED if end.code else 0)
    exits.leave(0)
