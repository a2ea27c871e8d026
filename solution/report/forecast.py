"""The allocator's forecasts against what happened, drawn.

In:  the forecast lines of a journal, its results. Out: a section of the report. A journal without such lines has no section.

The driver writes one at the start of its work, and then about twice a minute. JSON, in one line:
    {"kind": "forecast", "elapsed": 31.5, "planned": {"base": 240.0, "ttt": 1300.0},
     "answered": 400, "trained": 40, "solved": 68.2, "right": 12}
`elapsed`: seconds from process start; `planned`: device-seconds that each stage is still to get until the end of the budget;
`answered`, `trained`: tasks foretold to have their cheap answer, their training, by then; `solved`: tasks expected right by
then, null where no gain model says; `right`: tasks right at the time of the forecast, null or left out where that is not known.
What is done by the time of a forecast follows from the job lines above it.
Not here: making forecasts (`schedule.plan`), the page around the section (`page`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ..driver.clock import format_seconds
from ..driver.journal import Result
from ..schedule.job import STAGE_NAMES, STAGES

WIDTH, HEIGHT, LEFT, RIGHT, TOP, FOOT = 640, 240, 46, 150, 12, 36
"""Pixels of the drawing, and of its margins."""
TRAINED, SOLVED = "#0072b2", "#b45309"
LABEL_GAP = 14
"""Pixels between two labels, at the least."""
MOST_DRAWN = 120
"""Of more forecasts so many are drawn and listed, evenly, the first and the last among them."""


@dataclass(frozen=True)
class Forecast:
    """One forecast line; `jobs`: job lines above it."""

    elapsed: float
    planned: dict[str, float]
    answered: int
    trained: int
    solved: float | None
    jobs: int
    right: int | None = None
    process: int | None = None


def forecast_from_json(value: dict, jobs: int) -> Forecast:
    """The forecast of a journal line. Raises `KeyError`, `TypeError`, `ValueError` or `AttributeError` where it is none."""
    planned = {str(stage): float(seconds) for stage, seconds in value["planned"].items()}
    solved = None if value["solved"] is None else float(value["solved"])
    right = None if value.get("right") is None else int(value["right"])
    return Forecast(float(value["elapsed"]), planned, int(value["answered"]), int(value["trained"]), solved, jobs, right,
                    value.get("process"))  # fmt: skip


def of_last_process(forecasts: Sequence[Forecast]) -> list[Forecast]:
    """The forecasts of a run's last process: another number, or a clock that starts anew."""
    pairs = enumerate(zip(forecasts, forecasts[1:]), 1)
    begin = max((i for i, (one, next) in pairs if next.process != one.process or next.elapsed < one.elapsed), default=0)
    return list(forecasts[begin:])


def thinned(forecasts: Sequence[Forecast]) -> list[Forecast]:
    """No more of them than are drawn."""
    count = min(len(forecasts), MOST_DRAWN)
    return [forecasts[round(i * (len(forecasts) - 1) / max(1, count - 1))] for i in range(count)]


def tasks_done(results: Sequence[Result], stage: str, jobs: Sequence[int]) -> list[int]:
    """Tasks that had finished a job of a stage, among the first so many results, for each of these rising counts."""
    done, found, place = set(), [], 0
    for count in jobs:
        for record in (result.record for result in results[place:count]):
            if record.job.stage == stage and record.ok and not record.cut and not record.parked:
                done.update(record.job.tasks)
        place = count
        found.append(len(done))
    return found


def forecast_section(
    forecasts: Sequence[Forecast],
    results: Sequence[Result],
    seconds: float | None,
    solved: int | None,
) -> str:
    """The section. `seconds`: when the run ended, None where it did not; `solved`: tasks right in the end, None where that is
    not known."""
    mine = thinned(of_last_process(forecasts))
    if not mine:
        return ""
    counts = [forecast.jobs for forecast in mine] + [len(results)]
    answered, trained = (tasks_done(results, stage, counts) for stage in ("base", "ttt"))
    return (
        f"<h2>Forecast against what happened</h2>{_shares(mine[0], results[mine[0].jobs :])}"
        f"{_drawing(mine, trained, seconds, solved)}{_table(mine, answered, trained, seconds, solved)}"
    )


def _shares(first: Forecast, after: Sequence[Result]) -> str:
    """Device time a stage as planned by the first forecast, and as spent from then on."""
    spent = {stage: sum(r.record.seconds for r in after if r.record.job.stage == stage) for stage in STAGES}
    planned_all, spent_all = sum(first.planned.values()) or 1.0, sum(spent.values()) or 1.0
    rows = ""
    for stage in STAGES:
        planned = first.planned.get(stage, 0.0)
        if not planned and not spent[stage]:
            continue
        bars = "".join(
            f'<div style="width:{180 * share:.0f}px;height:7px;margin:3px 0;background:{colour}"></div>'
            for share, colour in ((planned / planned_all, "#9fb3c4"), (spent[stage] / spent_all, TRAINED))
        )
        rows += (
            f'<tr><td>{STAGE_NAMES[stage]}</td><td class="n">{planned:.0f}</td><td class="n">{planned / planned_all:.0%}</td>'
            f'<td class="n">{spent[stage]:.0f}</td><td class="n">{spent[stage] / spent_all:.0%}</td><td>{bars}</td></tr>'
        )
    names = ("planned, device-seconds", "share", "spent, device-seconds", "share")
    head = "".join(f'<th class="n">{name}</th>' for name in names)
    note = f"Planned by the first forecast, {format_seconds(first.elapsed)} after the start (grey); spent since (blue)."
    return f'<p class="dim">{note}</p><table id="planned"><tr><th>stage</th>{head}<th></th></tr>{rows}</table>'


def _drawing(forecasts: Sequence[Forecast], trained: Sequence[int], seconds: float | None, solved: int | None) -> str:
    """Foretold and real tasks over time: dashed what was foretold for the end, solid what was done by then. `trained`: by the
    time of each forecast, and in the end."""
    end = max(seconds or 0.0, forecasts[-1].elapsed)
    times = [f.elapsed for f in forecasts] + ([seconds] if seconds else [])
    right = [(f.elapsed, f.right) for f in forecasts if f.right is not None]
    right += [(seconds, solved)] if right and seconds and solved is not None else []
    lines = [
        ("foretold trained", TRAINED, True, [(f.elapsed, f.trained) for f in forecasts]),
        ("trained so far", TRAINED, False, list(zip(times, trained))),
        ("foretold solved", SOLVED, True, [(f.elapsed, f.solved) for f in forecasts if f.solved is not None]),
        ("solved so far", SOLVED, False, right),
    ]
    lines = [line for line in lines if line[3]]
    top = max([value for *_, points in lines for _, value in points] + [solved or 0, 1])

    def x(time: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * time / (end or 1.0)

    def y(value: float) -> float:
        return HEIGHT - FOOT - (HEIGHT - FOOT - TOP) * value / top

    parts, labels = [], []
    for name, colour, dashed, points in lines:
        listed = " ".join(f"{x(time):.1f},{y(value):.1f}" for time, value in points)
        dashes = ' stroke-dasharray="5 4"' if dashed else ""
        parts.append(f'<polyline points="{listed}" style="stroke:{colour};stroke-width:2"{dashes}/>')
        labels.append((y(points[-1][1]), name, colour))
    if solved is not None and seconds:
        parts.append(f'<circle cx="{x(seconds):.1f}" cy="{y(solved):.1f}" r="4" fill="{SOLVED}"/>')
        labels = [label for label in labels if label[1] != "solved so far"]
        labels.append((y(solved), f"solved: {solved}", SOLVED))
    at = -float(LABEL_GAP)
    for number, (place, name, colour) in enumerate(sorted(labels)):
        lowest = HEIGHT - FOOT - LABEL_GAP * (len(labels) - 1 - number)
        at = max(min(place + 4, lowest), at + LABEL_GAP)
        parts.append(f'<text x="{WIDTH - RIGHT + 8}" y="{at:.1f}" fill="{colour}">{escape(name)}</text>')
    bottom, middle = HEIGHT - FOOT, (TOP + HEIGHT - FOOT) / 2
    parts += [
        f'<polyline points="{LEFT},{TOP} {LEFT},{bottom} {WIDTH - RIGHT},{bottom}" style="stroke:#8a949e;stroke-width:1"/>',
        f'<text x="{LEFT - 6}" y="{TOP + 8}" text-anchor="end">{top:.0f}</text>',
        f'<text x="{LEFT - 6}" y="{bottom}" text-anchor="end">0</text>',
        f'<text x="{LEFT}" y="{bottom + 15}">0s</text>',
        f'<text x="{WIDTH - RIGHT}" y="{bottom + 15}" text-anchor="end">{format_seconds(end)}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{bottom + 30}" text-anchor="middle">time since process start</text>',
        f'<text x="12" y="{middle}" text-anchor="middle" transform="rotate(-90 12 {middle})">tasks</text>',
    ]
    style = 'style="background:#fff;border:1px solid #dfe3e8;margin:8px 0;font-size:12px"'
    return f'<svg id="forecast" width="{WIDTH}" height="{HEIGHT}" {style}>{"".join(parts)}</svg>'


def _table(
    forecasts: Sequence[Forecast],
    answered: Sequence[int],
    trained: Sequence[int],
    seconds: float | None,
    solved: int | None,
) -> str:
    """Every forecast in numbers, and the end. `answered`, `trained`: by the time of each, and in the end."""
    rows = [
        (format_seconds(f.elapsed), answered[i], f.answered, trained[i], f.trained, "" if f.right is None else f.right,
         "" if f.solved is None else f"{f.solved:.1f}")
        for i, f in enumerate(forecasts)
    ]  # fmt: skip
    final = "" if solved is None else f"{solved} in the end"
    rows.append((format_seconds(seconds) if seconds else "now", answered[-1], "", trained[-1], "", final, ""))
    body = "".join("<tr>" + "".join(f'<td class="n">{cell}</td>' for cell in row) + "</tr>" for row in rows)
    names = ("at", "answered by then", "foretold", "trained by then", "foretold", "solved by then", "foretold")
    head = "".join(f'<th class="n">{name}</th>' for name in names)
    return f'<details><summary>forecasts in numbers</summary><table id="forecasts"><tr>{head}</tr>{body}</table></details>'
