"""Figures as people read them. Units follow the SI: a kB is 1,000 bytes."""

import math

SPACE = "\N{NO-BREAK SPACE}"


def count(number: int) -> str:
    """12345 → 12,345."""
    return f"{number:,}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """2, document → 2 documents."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def size(number: int) -> str:
    """Bytes with three significant digits: 21734521 → 21.7 MB."""
    value, units = float(number), ["B", "kB", "MB", "GB", "TB", "PB"]
    while abs(value) >= 999.5 and len(units) > 1:
        value /= 1000
        units = units[1:]
    digits = 0 if units[0] == "B" else max(0, 2 - len(str(int(abs(value)))) + 1)
    return f"{value:,.{digits}f}{SPACE}{units[0]}"


def share(value: float) -> str:
    """0.4132 → 41.3 %. What is not nothing, or not all, never reads as if it were."""
    if 0 < value < 0.0005:
        return f"<{SPACE}0.1{SPACE}%"
    if 0.9995 <= value < 1:
        return f">{SPACE}99.9{SPACE}%"
    return f"{value * 100:.{0 if value in (0, 1) else 1}f}{SPACE}%"


def percent(value: float) -> str:
    """A probability with three significant digits: 0.000176 → 0.0176 %."""
    if 0.9995 <= value < 1:
        return f">{SPACE}99.9{SPACE}%"
    if 0 < value < 1e-7:
        return f"<{SPACE}0.00001{SPACE}%"
    digits = max(0, 2 - math.floor(math.log10(value * 100))) if value > 0 else 0
    return f"{value * 100:.{digits}f}{SPACE}%"


def duration(seconds: float) -> str:
    """0.42 → 0.42 s; 83 → 1 min 23 s; 5025 → 1 h 24 min."""
    if seconds < 59.95:
        return f"{seconds:.{2 if seconds < 9.995 else 1}f}{SPACE}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}{SPACE}min {whole % 60}{SPACE}s"
    minutes = round(seconds / 60)
    return f"{minutes // 60:,}{SPACE}h {minutes % 60}{SPACE}min"


def rate(bytes_per_second: float | None) -> str:
    """Input read per second; a dash where a phase reads none."""
    return "–" if bytes_per_second is None else f"{size(round(bytes_per_second))}/s"


def measured(value: float | None, unit: str, *, lowest: bool = False) -> str:
    """A gate's measure or limit in its unit. A limit is shown as exactly as it was given.

    None: nothing was measured. lowest: whether it is a limit from below.
    """
    if value is None:
        return "nothing"
    if unit == "share":
        return f"{value * 100:.4g}{SPACE}%"
    whole = value == int(value) and abs(value) < 1e15
    number = f"{value:,.0f}" if whole else f"{value:,.6g}"
    return (f"≥{SPACE}" if lowest else "") + f"{number}{SPACE}{unit}".rstrip(SPACE)
