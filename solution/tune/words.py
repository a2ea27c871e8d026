"""An advice in plain words, for the page and for the terminal.

In:  an `Advice`. Out: sentences and table rows as plain text. Every number is measured in the journals or forecast from them,
and the sentence says which.
Not here: pictures (`plots`), HTML (`page`).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..driver.clock import format_seconds
from .advice import DIES, LEAST_GAIN, SURE, Advice, speed_name
from .evidence import training_speed
from .forecast import Forecast
from .machine import describe

KAGGLE_SECONDS = 12 * 3600.0
"""Kaggle's limit for a notebook (docs/kaggle.md, "Limits")."""
ENOUGH = 0.95
"""Share of a budget: work that ends before it leaves time over."""
FEW_RIGHT = 10
"""Trained tasks right, below which the chance after training is called badly known."""


class Number(NamedTuple):
    """One number to set: what it is, what the first journal's run had, what to set, why."""

    what: str
    ran: str
    advised: str
    why: str


def duration(seconds: float) -> str:
    """Seconds as a person reads them, without parts that are zero: 12h, 1h30m, 45m, 8.3s."""
    text = format_seconds(seconds)
    return text.removesuffix("00m") if "h" in text else text.removesuffix("00s")


def percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def expected(forecast: Forecast) -> str:
    """A score with its band."""
    return f"{percent(forecast.mean)} ({percent(forecast.band[0])} to {percent(forecast.band[1])})"


def points(new: Forecast, old: Forecast) -> str:
    """The difference of two scores in percentage points."""
    return f"{round(100 * (new.mean - old.mean), 1) + 0.0:+.1f} points"


def headline(advice: Advice) -> str:
    """The result in one sentence."""
    forecast, plan = advice.forecast, advice.plan
    guess = " The machine's speed is a guess: no journal is of such devices." if is_guess(advice) else ""
    keep = "Keep the numbers of the run" if advice.best == advice.own else "Change the numbers in the table"
    return (
        f"{keep}. Expect {percent(forecast.mean)} of {plan.tasks} tasks right, 95 % of the replays between "
        f"{percent(forecast.band[0])} and {percent(forecast.band[1])}.{guess}"
    )


def numbers(advice: Advice) -> list[Number]:
    """What to set, number by number."""
    own, best = advice.compared[advice.own], advice.forecast
    ran, new, plan = own.setting.preset, best.setting.preset, advice.plan
    gain = "" if best is own else f"{points(best, own)} against the run's own"
    kept = f"nothing else compared is {100 * LEAST_GAIN:g} points better and no worse in {SURE:.0%} of the replays"
    counts = sorted({group.steps for group in advice.evidence})
    only = f"journals of {' and '.join(map(str, counts))} steps" if len(counts) > 1 else "all journals have this count"
    why_views = gain if best.setting.views != own.setting.views else kept
    rows = [
        Number("solvers (--solvers)", own.setting.solvers, best.setting.solvers, gain if ran != new and gain else kept),
        Number("TTT steps (train.steps)", str(ran.train.steps), str(new.train.steps), only),
        Number("first views (first_views)", str(ran.first_views), str(new.first_views), why_views),
        Number(
            "further views (more_views x rounds)", f"{ran.more_views} x {ran.rounds}", f"{new.more_views} x {new.rounds}",
            f"decoded where fewer than {new.agreement:.0%} of the views agree",
        ),
        Number(
            "breadth pass", percent(own.share_of("base")), percent(best.share_of("base")),
            "of all device time: one view of every task; on cores that search programs at most `breadth` of it comes first",
        ),
        Number("reserve", "", duration(plan.reserve), reserve_reason(advice)),
        Number("--budget", "", duration(plan.budget), budget_reason(advice)),
    ]  # fmt: skip
    return rows if new.ttt else [row for row in rows if "views" not in row.what and "TTT" not in row.what]


def reserve_reason(advice: Advice) -> str:
    """Why the driver's reserve is enough, by the journals; what more of it would cost."""
    plan = advice.plan
    text = f"the driver keeps it by itself: {percent(plan.reserve / plan.budget, 2)} of the budget"
    spare = [j.budget - j.seconds for g in advice.evidence for j in g.journals if None not in (j.budget, j.seconds)]
    if spare:
        text += f"; the runs were done {duration(max(0.0, min(spare)))} or more before their budget ended"
    return text


def budget_reason(advice: Advice) -> str:
    """What has to fit into the budget."""
    if advice.plan.budget > KAGGLE_SECONDS - 1200:
        return "Kaggle stops a notebook after 12h, installing included: 11h30m leaves room for that"
    return "wall clock from the start of the process, loading included"


def command(advice: Advice) -> str:
    """How to run what is advised."""
    best, own = advice.forecast.setting, advice.compared[advice.own].setting
    text = f"python submission.py --budget {duration(advice.plan.budget)} --solvers {best.solvers}"
    changed = {
        name: getattr(best.preset, name)
        for name in ("first_views", "more_views", "rounds")
        if getattr(best.preset, name) != getattr(own.preset, name)
    }
    if best.preset.train.steps != own.preset.train.steps:
        changed["train.steps"] = best.preset.train.steps
    name = own.preset.name
    settings = "".join(f" {key}={value}" for key, value in changed.items())
    return f"{text} --preset {name}" + (f" --set{settings}" if settings else "")


def expectations(advice: Advice) -> list[str]:
    """What score to expect, and what the run looks like."""
    forecast, plan = advice.forecast, advice.plan
    lines = [
        f"Forecast: {expected(forecast)} of tasks with every test input right (strict), that is {forecast.right.mean():.1f} of "
        f"{plan.tasks} tasks, in {duration(plan.budget)} on {describe(plan.devices)}."
    ]
    journal = advice.evidence[0].journals[0]
    lines.append(
        f"Kaggle counts test inputs, not whole tasks. {journal.name} ended with {percent(journal.score.strict_share, 2)} of "
        f"tasks and {percent(journal.score.partial_share, 2)} of test inputs right: take the difference as a hint."
    )
    end = float(forecast.ends.mean())
    trained = forecast.reached["ttt"][-1]
    if forecast.setting.preset.ttt:
        lines.append(f"{trained:.0f} of {plan.tasks} tasks get their training within the budget (mean of the replays).")
    if end < ENOUGH * forecast.seconds:
        lines.append(
            f"All work is done after {duration(end)}: time is not what limits this run. What is left over is worth "
            "something only to longer training, more views or larger weights, which need dry runs of their own to judge."
        )
    else:
        lines.append("The clock ends the run with work left: more time, a faster machine or cheaper jobs raise the score.")
    return lines


def sureness(advice: Advice) -> list[str]:
    """What the band covers, what it does not, and how the simulator does on the journals' own runs."""
    group = advice.forecast.setting.evidence
    covered = "which tasks come (drawn anew from the recorded ones), what had to be filled in (refitted for each draw)"
    if advice.plan.same:
        covered = "what had to be filled in (refitted for each draw of the recorded tasks), not other tasks than these"
    lines = [
        f"The band covers {covered}, and the scatter of seconds (about {percent(math.expm1(advice.scatter), 0)} a job). It "
        "does not cover hidden tasks that are harder than the recorded ones, nor a machine whose speed was guessed wrongly.",
        f"Measured in {group.name}: {group.trained} of {len(group.trace.tasks)} tasks trained, {group.trained_right} of these "
        f"right; {group.searched} searched for programs, {group.explained} explained. The rest is filled in by size of task.",
    ]
    if not group.trained:
        lines.append(
            "No training was finished: its seconds are guessed from the cheap answers, its chances by the preset's gain model, "
            "which was fitted to the embedded weights. A dry run with trainings tells more than anything else."
        )
    elif group.trained_right < FEW_RIGHT:
        lines.append(
            f"With {group.trained_right} trained tasks right, what training brings to the others is badly known: a longer dry "
            "run narrows the band more than anything else."
        )
    lines += [
        f"Check: {c.journal.name} solved {c.journal.score.strict} of {c.journal.score.tasks} tasks in "
        f"{duration(c.journal.seconds)} (its candidates, chosen between by this version); the simulator, given the same tasks, "
        f"machine and time, {c.mean:.1f} "
        f"({c.least:.0f} to {c.most:.0f}). Costs and answers are its own, so this checks the simulator, not the filling in."
        for c in advice.checks
    ]
    return lines


def changes(advice: Advice) -> list[str]:
    """What would change the forecast."""
    forecast, lines = advice.forecast, []
    for slower in (0.7, 1.3):
        name = speed_name(slower)
        lines.append(f"A machine {name}: {expected(advice.machines[name])}, {points(advice.machines[name], forecast)}.")
    if DIES in advice.machines:
        lines.append(f"If {DIES}: {expected(advice.machines[DIES])}, {points(advice.machines[DIES], forecast)}.")
    half, most = advice.hours[advice.plan.budget / 2], advice.hours[max(advice.hours)]
    lines.append(
        f"Half the budget: {expected(half)}, {points(half, forecast)}. One and a half times: {expected(most)}, "
        f"{points(most, forecast)}."
    )
    fewer = {count: f for count, f in advice.steps.items() if count < forecast.setting.evidence.steps}
    if fewer:
        count = max(fewer)
        gain = points(fewer[count], forecast)
        lines.append(
            f"{count} steps a task instead of {forecast.setting.evidence.steps}, if the answers were as good: {gain}. "
            "That is the most that fewer steps can bring; what they lose only a dry run with them can tell."
        )
    best = max(advice.machines.values(), key=lambda f: f.mean)
    if max(abs(f.mean - forecast.mean) for f in (best, half, most)) < 0.005:
        lines.append("Time and machine hardly matter here: weights, training and search decide.")
    return lines


def limits(advice: Advice) -> list[str]:
    """What these journals cannot tell."""
    lines, plan = [], advice.plan
    counts = {group.steps for group in advice.evidence}
    group = advice.forecast.setting.evidence
    if len(counts) == 1:
        (count,) = counts
        lines.append(
            f"Whether other numbers of TTT steps answer better: all journals have {count}. Make a dry run with, say, "
            f"{2 * count} steps and give both journals."
        )
    if group.trained:
        lines.append(
            f"Whether more than {group.views} views help: no task was decoded in more. Of tasks whose first views agreed "
            f"({group.preset.agreement:.0%} or more) only {group.preset.first_views} were."
        )
    trained = [math.log(t.size.prompt_tokens / t.size.num_tests) for t in group.trace.tasks.values() if "ttt" in t.measured]
    others = [math.log(t.size.prompt_tokens / t.size.num_tests) for t in group.trace.tasks.values() if "ttt" not in t.measured]
    if trained and others:
        lines.append(
            f"How well training does on larger tasks: those trained have {math.exp(np.median(trained)):.0f} prompt tokens a "
            f"test input (median), the {len(others)} others {math.exp(np.median(others)):.0f}. Their chances are extrapolated."
        )
    for number in range(1, len(group.preset.program.tries) if group.preset.program else 0):
        searched = [task for task in group.trace.tasks.values() if "program" in task.measured]
        deeper = sum(task.searched > number for task in searched)
        lines.append(
            f"What round {number + 1} of program search finds: it was run for {deeper} of {len(searched)} searched tasks, the "
            "smaller ones; for the others it is extrapolated by size."
        )
    lines += machine_limits(advice)
    if len({frozenset(device_kinds(group.journals[0].devices)) for group in advice.evidence}) > 1:
        lines.append("How groups of journals compare in seconds: they are of different devices, each at its own speed.")
    if group.preset.program is None:
        lines.append("What program search brings: no journal searched.")
    lines += [
        f"How well {other.name} searches programs by itself: it takes the searches of {other.borrowed}, which depend neither "
        "on weights nor on training."
        for other in advice.evidence
        if other.borrowed
    ]
    if plan.startup is None:
        lines.append("How long start-up takes: no journal has a closing line; it is taken to take no time.")
    lines.append("How much harder the hidden tasks are than the recorded ones. Expect less than the forecast if they are.")
    return lines


def machine_limits(advice: Advice) -> list[str]:
    """What is assumed of a machine that the journals do not know."""
    journals = [journal for group in advice.evidence for journal in group.journals]
    kinds = set().union(*(device_kinds(journal.devices) for journal in journals))
    wanted = device_kinds([device.name for device in advice.plan.devices])
    if not is_guess(advice):
        return ["Whether the machine is as fast as the journals': speeds are relative to theirs (--devices 2x0.7, say)."]
    speed = training_speed(journals)
    measured = f"; here they trained {speed:.0f} tokens a device-second" if speed else ""
    return [
        f"How fast {' and '.join(sorted(wanted))} is: the journals are of {' and '.join(sorted(kinds))}. Each worker is taken "
        f"at the speed given with --devices, relative to one of theirs (1 unless given){measured}. Divide the tokens/s of "
        "'training + first views' in the closing table of a run on the new machine by that, and give it: --devices 2xSPEED."
    ]


def device_kinds(names: Sequence[str]) -> set[str]:
    """cpu, cuda: the kinds among workers that train."""
    return {name.partition(":")[0] for name in names} - {"search"}


def is_guess(advice: Advice) -> bool:
    """Whether a device is of a kind that the advised setting's journals do not know."""
    known = set().union(*(device_kinds(journal.devices) for journal in advice.forecast.setting.evidence.journals))
    return not device_kinds([device.name for device in advice.plan.devices]) <= known


def told(advice: Advice) -> Sequence[tuple[str, list[str]]]:
    """The sections of the page in order: heading, sentences."""
    return (
        ("What score to expect", expectations(advice)),
        ("How sure that is", sureness(advice)),
        ("What would change it", changes(advice)),
        ("What these journals cannot tell", limits(advice)),
    )
