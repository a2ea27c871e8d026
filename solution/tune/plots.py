"""The pictures of an advice.

In:  an `Advice`. Out: PNG bytes by file name, with a caption each. No global state of matplotlib is touched.
Colours are those of Okabe and Ito (2008), which people with any common colour blindness tell apart; lines differ in dashes too.
Not here: the page around them (`page`).
"""

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from ..schedule.job import STAGE_NAMES
from .advice import Advice
from .forecast import IDLE, MOMENTS, Forecast
from .words import duration

BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#8A8A8A"
STAGE_LOOKS = {
    "base": (GREEN, "-", "//"),
    "program": (ORANGE, "--", ".."),
    "ttt": (BLUE, "-.", ""),
    "views": (PURPLE, ":", "\\\\"),
    IDLE: ("#DDDDDD", "-", ""),
}
"""Stage -> colour, dashes of its line, hatching of its bar."""
NAMES = STAGE_NAMES | {IDLE: "idle"}
BUDGET = "budget (h: hours, m: minutes, s: seconds)"
WIDTH, HEIGHT, DPI = 9.2, 4.4, 110
"""Inches and dots an inch: about 1,000 pixels, what a laptop shows beside nothing else."""


class Picture(NamedTuple):
    """A picture: file name, PNG, what it shows."""

    name: str
    png: bytes
    caption: str


def pictures(advice: Advice) -> list[Picture]:
    """Every picture of the page, in its order."""
    return [
        Picture("score_by_hours.png", score_by_hours(advice), "Score against the budget, with the advised numbers. Each point "
                "is a forecast of its own; the band holds 95 % of the replays."),
        Picture("steps_and_views.png", steps_and_views(advice), "Score against TTT steps (left) and views (right). Filled "
                "points: answers measured in a journal. Hollow: only seconds scaled, answers as measured, so no forecast."),
        Picture("time_by_stage.png", time_by_stage(advice), "Where all device time goes, by budget (means of the replays)."),
        Picture("tasks_reached.png", tasks_reached(advice), "Tasks that have finished a job of each stage, against time."),
        Picture("machine.png", machine(advice), "Score on other machines, same budget. Shaded: the band of the machine given."),
    ]  # fmt: skip


def score_by_hours(advice: Advice) -> bytes:
    figure = Figure((WIDTH, HEIGHT))
    axes = figure.subplots()
    x = np.array(sorted(advice.hours))
    found = [advice.hours[budget] for budget in x]
    low, high = np.array([f.band for f in found]).T * 100
    axes.fill_between(x, low, high, color=BLUE, alpha=0.18, lw=0, label="95 % of the replays")
    axes.plot(x, [100 * f.mean for f in found], color=BLUE, marker="o", label="mean")
    axes.axvline(advice.plan.budget, color=RED, ls="--", label=f"budget: {duration(advice.plan.budget)}")
    axes.set_xscale("log", base=2)
    axes.set_xticks(x, [duration(budget) for budget in x])
    axes.set_xticks([], minor=True)
    axes.set(xlabel=f"{BUDGET}, logarithmic", xlim=(x[0] / 1.08, x[-1] * 1.08))
    axes.set(ylabel="tasks right (%)", ylim=(0, 1.3 * max(high.max(), 1.0)))
    return finish(figure, legend=True)


def steps_and_views(advice: Advice) -> bytes:
    figure = Figure((WIDTH, HEIGHT))
    left, right = figure.subplots(1, 2, sharey=True)
    best = advice.forecast
    own = [f for f in advice.compared.values() if f.setting.preset.ttt and same_views(f, f.setting.evidence.preset)]
    measured = {}
    for forecast in own:  # of each group the one with most solvers
        held = measured.get(forecast.setting.evidence.name)
        if held is None or len(forecast.setting.solvers) > len(held.setting.solvers):
            measured[forecast.setting.evidence.name] = forecast
    if best.setting.preset.ttt:
        cost = advice.steps | {best.setting.evidence.steps: best}
        x = sorted(cost)
        left.plot(
            x, [100 * cost[k].mean for k in x], color=GREY, ls="--", marker="o", mfc="white", label="if answers stay as good"
        )
    errors(left, [f.setting.evidence.steps for f in measured.values()], list(measured.values()), BLUE, "measured", "o")
    ticks = sorted({*advice.steps, *(f.setting.evidence.steps for f in measured.values())})
    left.set_xscale("log", base=2)
    left.set_xticks(ticks, [str(k) for k in ticks])
    left.set(xlabel="TTT steps a task", ylabel="tasks right (%)")
    views = [f for f in advice.compared.values() if f.setting.preset.ttt and alike(f, best)]
    views.sort(key=lambda f: (f.setting.preset.first_views * (1 + f.setting.preset.rounds), f.setting.preset.first_views))
    for rounds, colour, mark, label in (
        (0, ORANGE, "s", "first views only"),
        (1, BLUE, "o", "and further ones on disagreement"),
    ):
        chosen = [(place, f) for place, f in enumerate(views) if (f.setting.preset.rounds > 0) == bool(rounds)]
        errors(right, [place for place, _ in chosen], [f for _, f in chosen], colour, label, mark)
    right.set_xticks(range(len(views)), [f.setting.views for f in views])
    right.set(xlabel="views a test input", xlim=(-0.6, max(len(views), 1) - 0.4))
    top = max([0.01, *(f.band[1] for f in (*views, *own))])
    left.set_ylim(0, 100 * top * 1.35)
    left.legend(loc="upper left", frameon=False)
    right.legend(loc="upper left", frameon=False)
    return finish(figure)


def same_views(forecast: Forecast, preset) -> bool:
    mine = forecast.setting.preset
    return (mine.first_views, mine.more_views, mine.rounds) == (preset.first_views, preset.more_views, preset.rounds)


def alike(forecast: Forecast, best: Forecast) -> bool:
    """Whether two settings differ in views alone."""
    return forecast.setting.evidence is best.setting.evidence and forecast.setting.solvers == best.setting.solvers


def errors(axes, x: Sequence[float], found: Sequence[Forecast], colour: str, label: str, mark: str) -> None:
    """Means with their bands."""
    if found:
        mean = np.array([100 * f.mean for f in found])
        low, high = np.array([f.band for f in found]).T * 100
        reach = np.clip([mean - low, high - mean], 0, None)
        axes.errorbar(x, mean, reach, color=colour, fmt=mark, capsize=4, ms=7, label=label, zorder=3)


def time_by_stage(advice: Advice) -> bytes:
    figure = Figure((WIDTH, HEIGHT))
    axes = figure.subplots()
    budgets = sorted(advice.hours)
    names = [stage for stage in STAGE_LOOKS if any(advice.hours[b].share_of(stage) > 0.001 for b in budgets)]
    bottom = np.zeros(len(budgets))
    for stage in names:
        share = np.array([100 * advice.hours[budget].share_of(stage) for budget in budgets])
        colour, _, hatch = STAGE_LOOKS[stage]
        bars = axes.bar(
            range(len(budgets)), share, 0.72, bottom, color=colour, hatch=hatch, edgecolor="white", label=NAMES[stage]
        )
        axes.bar_label(bars, [f"{s:.0f}" if s >= 6 else "" for s in share], label_type="center", fontsize=9,
                       bbox={"fc": "white", "ec": "none", "pad": 1.2, "alpha": 0.85})  # fmt: skip
        bottom += share
    axes.set_xticks(range(len(budgets)), [duration(budget) for budget in budgets])
    axes.set(xlabel=BUDGET, ylabel="share of all device time (%)", ylim=(0, 100))
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return finish(figure)


def tasks_reached(advice: Advice) -> bytes:
    figure = Figure((WIDTH, HEIGHT))
    axes = figure.subplots()
    forecast = advice.forecast
    end = min(forecast.seconds, max(1.0, 1.1 * float(forecast.ends.max())))
    unit, name = time_unit(end)
    times = np.linspace(0, forecast.seconds, MOMENTS) / unit
    for stage, (colour, dashes, _) in STAGE_LOOKS.items():
        if stage in forecast.reached and forecast.reached[stage][-1] > 0:
            axes.plot(times, forecast.reached[stage], color=colour, ls=dashes, lw=2.2, label=NAMES[stage])
    axes.axhline(forecast.tasks, color=GREY, lw=1)
    axes.set(xlabel=f"time since the first job ({name})", ylabel=f"tasks reached (of {forecast.tasks})")
    axes.set(xlim=(0, end / unit), ylim=(0, 1.05 * forecast.tasks))
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return finish(figure)


def machine(advice: Advice) -> bytes:
    figure = Figure((WIDTH, 3.6))
    axes = figure.subplots()
    rows = {"as given": advice.forecast} | advice.machines
    low, high = advice.forecast.band
    axes.axvspan(100 * low, 100 * high, color=BLUE, alpha=0.12, lw=0)
    for place, name in enumerate(rows):
        forecast, colour = rows[name], BLUE if name == "as given" else ORANGE
        mean, (low, high) = 100 * forecast.mean, forecast.band
        axes.errorbar(
            mean, place, xerr=[[max(0, mean - 100 * low)], [max(0, 100 * high - mean)]], fmt="o", color=colour, capsize=4
        )
        axes.annotate(f"{mean:.1f}", (mean, place), (0, 6), textcoords="offset points", ha="center", fontsize=9)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set(xlabel="tasks right (%)", ylim=(len(rows) - 0.4, -0.7), xlim=(0, None))
    return finish(figure)


def time_unit(seconds: float) -> tuple[float, str]:
    """Seconds of the unit that an axis up to so many seconds is read in, and its name."""
    return (3600.0, "hours") if seconds >= 7200 else (60.0, "minutes") if seconds >= 120 else (1.0, "seconds")


def finish(figure: Figure, legend: bool = False) -> bytes:
    """Grid lines, no frame, as a PNG."""
    for axes in figure.axes:
        axes.grid(True, color="#E6E6E6", lw=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        if legend:
            axes.legend(loc="upper left", frameon=False)
    figure.set_layout_engine("tight")
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=DPI)
    return target.getvalue()
