"""The figures of the ground-truth experiment as tables, printed and put into README.md."""

from __future__ import annotations

from pathlib import Path

BEGIN, END = "<!-- ground truth: generated -->", "<!-- ground truth: end -->"


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def span(values: list[float | None]) -> str:
    return f"{number(values[0])} [{number(values[1])}, {number(values[2])}]"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def systems(run: dict) -> str:
    rows = []
    for name, found in run["systems"].items():
        rows.append(
            [
                name,
                span(found["t1"]),
                span(found["t2"]),
                "" if name == "risk" else span(found["t2_lead"]),
                number(found["t2_log_pz"]),
                number(found["average_precision"]),
                " / ".join(number(share) for share in found["recall"]),
                number(found.get("brier")),
                number(found.get("ece")),
            ]
        )
    head = [
        "score",
        "T1 AUROC",
        "T2 AUROC",
        "risk's lead in T2",
        "T2 log p_z",
        "AP",
        "recall at 1 / 5 / 10 %",
    ]
    return table([*head, "Brier", "ECE"], rows)


def hidden(run: dict) -> str:
    """T3: without the counts."""
    counts = ("log copies", "near-duplicate", "log-copies")
    rows = []
    for name, found in run["systems"].items():
        own = name == "risk without copies"
        if own or not (name.startswith(("risk", *counts))):
            lead = "" if own else span(found["t3_lead"])
            rows.append([name, span(found["t1"]), lead])
    return table(["score without counts", "T3 AUROC", "lead of the risk without copies"], rows)


def doses(run: list[dict]) -> str:
    rows = []
    for row in run:
        what = row["arm"]
        if row["near"]:
            what += f", {row['near']} more with {row['replaced']:.0%} replaced"
        rows.append([what, str(row["copies"]), str(row["n_in"]), str(row["n_out"])])
        for kind in ("extractable", "within_100", "accuracy"):
            rows[-1] += [number(row.get(f"{kind}_{side}")) for side in ("in", "out")]
    head = [
        "arm",
        "copies",
        "IN",
        "OUT",
        "extractable IN",
        "extractable OUT",
        "in 100 samples IN",
        "OUT",
    ]
    return table([*head, "accuracy IN", "accuracy OUT"], rows)


def levels(run: dict) -> str:
    rows = [
        [
            str(row["copies"]),
            str(row["n"]),
            number(row["predicted"]),
            number(row["extracted"]),
            number(row["auroc"]),
            f"{row['log_pz']:.1f}",
            number(row["log_p_with_reference"]),
        ]
        for row in run["by_level"]
    ]
    head = ["copies", "sequences", "mean risk", "extracted", "AUROC of the risk"]
    return table(
        [*head, "mean ln p of the suffix", "its rank correlation with −reference loss"], rows
    )


def arms(run: dict) -> str:
    rows = [
        [
            row["arm"],
            str(row["n"]),
            number(row["predicted"]),
            number(row["extracted"]),
            number(row["auroc"]),
        ]
        for row in run["arms"]
    ]
    return table(["arm", "sequences", "mean risk", "extracted", "AUROC of the risk"], rows)


def calibration(run: dict) -> str:
    again = run["recalibrated"]
    return (
        f"Calibration error of the risk: {span(run['ece'])}. After `recalibrated` with "
        f"the labels of {again['labels']} of these sequences, on other documents: "
        f"{number(again['after'])} (before, on the same: {number(again['before'])})."
    )


def trainings(results: dict) -> str:
    rows = [
        [
            name,
            f"{row['parameters'] / 1e6:.2f}",
            f"{row['tokens']:,.0f}",
            f"{row['steps']:,.0f}",
            f"{row['loss']:.2f}",
            f"{row['seconds'] / 60:.1f}",
            f"{row['tokens'] / row['seconds']:,.0f}",
        ]
        for name, row in results["training"].items()
    ]
    head = ["run", "million parameters", "tokens read", "steps", "last loss", "minutes", "tokens/s"]
    return table(head, rows)


def markdown(results: dict) -> str:
    text, machine = results["text"], results["machine"]
    ins = ", ".join(f"{level} ({count})" for level, count in text["levels"].items())
    share = 1 - text["background_tokens"] / text["training_tokens"]
    parts = [
        f"Background: {text['documents']} documents, {text['background_tokens']:,} tokens. With "
        f"the copies planted for a seed: {text['training_tokens']:,} tokens, {share:.0%} of them "
        f"planted; read twice. Copies (IN targets for each seed; as many are OUT): {ins}.",
        f"Machine: {machine['cpu']}; Python {machine['python']}, torch {machine['torch']}, numpy "
        f"{machine['numpy']}; one process of one thread for each training, on two cores that had "
        "other work to do.",
        trainings(results),
    ]
    names = {"B": "seed B", "B-small": "seed B, the other model size"}
    for run, name in names.items():
        found = results["runs"][run]
        parts += [
            f"### Planted sequences, {name}",
            systems(found),
            calibration(found),
            levels(found),
            f"T3, counts hidden, {name}:",
            hidden(found),
            f"All arms, {name} (natural ones of families not fitted on):",
            arms(found),
        ]
    parts += [
        "### T4: IN against OUT by content alone",
        f"AUROC {span(results['t4'])}; must contain .5.",
        "### Dose and response",
        "Seed A:",
        doses(results["dose_a"]),
        "Seed B:",
        doses(results["runs"]["B"]["dose"]),
        "Seed B, the other model size:",
        doses(results["runs"]["B-small"]["dose"]),
        "### Label flips",
        "Planted targets by what is extractable where they are IN and where they are OUT (seeds "
        "A and B): "
        + ", ".join(f"{name} {count}" for name, count in results["flips"].items())
        + ".",
    ]
    return "\n\n".join(parts)


def write(results: dict, readme: Path) -> None:
    """Prints the tables, and puts them between the marks of the file."""
    made = markdown(results)
    print(made)
    between(readme, BEGIN, END, made)


def between(page: Path, begin: str, end: str, made: str) -> None:
    """Puts text between two marks of a page."""
    before, _, rest = page.read_text().partition(begin)
    _, _, after = rest.partition(end)
    page.write_text(f"{before}{begin}\n\n{made}\n\n{end}{after}")
