"""The visual report: one HTML file that shows what a run did and why it did not solve what it did not solve.

In:  a run's journal, its tasks, answers and, where known, solutions. Out: one file without scripts or outside resources.
Not here: what became of each test input (`outcome`), pictures (`draw`), choosing the answers (`driver.board`).
"""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from ..arc.load import Challenges, Solutions
from ..arc.score import score
from ..arc.submission import Answers, OutputError
from ..arc.task import Grid, Task, grid_key
from ..driver.clock import format_seconds
from ..driver.journal import Result
from ..schedule.job import STAGE_NAMES, STAGES
from .draw import grid_image, loss_curve
from .forecast import forecast_section
from .methods import interval, method_rows
from .outcome import (
    NOT_SELECTED,
    OUTCOMES,
    SOLVED,
    Jobs,
    Proposal,
    Run,
    candidates_of,
    is_reached,
    outcome,
    proposals,
    read_run,
    stage_rows,
)

MAX_BYTES = 6_000_000
"""No further task is drawn once the page is this long."""
TOP_PROPOSALS = 5
"""Grids drawn per test input beside the attempts, the answer apart."""
NAMED_TASKS = 12
"""Tasks named per kind of failure."""
NOT_KNOWN = "answer not known"
"""The section of tasks without solutions."""
GRID_SIDE, LEAST_CELL, GREATEST_CELL = 160, 4, 14
"""CSS pixels: a task's largest grid is about GRID_SIDE long, a cell between the other two."""

STYLE = """
body{font:14px/1.45 system-ui,"Segoe UI","DejaVu Sans",sans-serif;color:#1c2126;background:#f4f5f7;margin:0}
main{max-width:1240px;margin:0 auto;padding:20px 24px 60px}
h1{font-size:22px;margin:0 0 2px} h2{font-size:17px;margin:28px 0 8px} h3{font-size:13px;margin:14px 0 6px;color:#4b555f}
p{margin:4px 0} .dim{color:#5f6a75} code,pre{font:12px/1.45 ui-monospace,"DejaVu Sans Mono",monospace}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:6px 0}
table{border-collapse:collapse;background:#fff;border:1px solid #dfe3e8}
td,th{padding:4px 12px;border-bottom:1px solid #eceff2;text-align:left;vertical-align:top} th{color:#4b555f;font-weight:600}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.tag{display:inline-block;border-radius:3px;padding:0 7px;font-size:12px;color:#fff;white-space:nowrap}
.solved{background:#24803c}.selected{background:#b45309}.generated{background:#b4232c}.reached{background:#68737e}
.task{background:#fff;border:1px solid #dfe3e8;border-radius:4px;margin:6px 0}
.task>summary{cursor:pointer;padding:6px 12px;display:flex;gap:12px;align-items:center;flex-wrap:wrap}
.task[open]>summary{border-bottom:1px solid #eceff2;background:#fafbfc} .task>summary:before{content:"\\25B8";color:#8a949e}
.task[open]>summary:before{content:"\\25BE"} .task>summary code{font-size:13px;font-weight:600;min-width:5.5em}
.body{padding:0 14px 14px} .row{display:flex;flex-wrap:wrap;gap:12px 18px;align-items:flex-start}
.pair{display:flex;gap:8px;align-items:center;padding:8px;background:#f4f5f7;border-radius:3px}
figure{margin:0;padding:6px;border:2px solid transparent;border-radius:3px} .right{border-color:#24803c;background:#edf7ef}
figcaption{font-size:12px;color:#4b555f;margin-bottom:4px;white-space:pre-line}
.g{position:relative;display:inline-block;line-height:0;outline:1px solid #555} .g img{image-rendering:pixelated;display:block}
.g:after{content:"";position:absolute;inset:0;background:
repeating-linear-gradient(90deg,#8886 0 1px,transparent 1px var(--c)),
repeating-linear-gradient(#8886 0 1px,transparent 1px var(--c))}
svg{background:#f4f5f7;vertical-align:middle} polyline{fill:none;stroke:#2563ab;stroke-width:1.3}
"""


def write_report(
    path: Path,
    journal: Path,
    challenges: Challenges,
    solutions: Solutions | None,
    answers: Answers,
    out_of_time: Callable[[], bool] = lambda: False,
) -> Path:
    """Write the report of the run in `journal` to `path`, whole or not at all, and return `path`.

    `answers` are the run's attempts for every task of `challenges`; no further task is drawn once `out_of_time`. Raises
    `InputError` where `journal` is not the journal of a run on these tasks, `OutputError` where the file cannot be written.
    """
    page = _page(read_run(journal, challenges), challenges, solutions, answers, out_of_time)
    aside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        # an id may hold anything that JSON can, even halves of characters that UTF-8 cannot write
        aside.write_bytes(page.encode("utf-8", "xmlcharrefreplace"))
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
    return path


def _page(
    run: Run, challenges: Challenges, solutions: Solutions | None, answers: Answers, out_of_time: Callable[[], bool]
) -> str:
    by_task = run.by_task()
    outcomes: dict[str, list[str]] = {}  # of the tasks with known answers
    for name, outputs in (solutions or {}).items():
        jobs = by_task.get(name, {})
        outcomes[name] = [
            outcome(answers[name][i], candidates_of(jobs, name, i), is_reached(jobs), output) for i, output in enumerate(outputs)
        ]
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8"><title>ARC run report</title>',
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body><main>',
        _head(run),
        _score(solutions, answers, outcomes) if solutions else '<p class="dim">No solutions: nothing is scored.</p>',
        _stages(run.results),
        _forecast(run, solutions, outcomes),
        _methods(run, solutions) if solutions else "",
        _failures(run.results, challenges),
        *_tasks(run, challenges, solutions or {}, answers, outcomes, out_of_time),
        "</main></body></html>\n",
    ]
    return "\n".join(parts)


def _head(run: Run) -> str:
    """Run identity and how the run ended."""
    identity = run.identity
    preset = identity.get("preset") if isinstance(identity.get("preset"), dict) else {}
    facts = {
        "preset": preset.get("name"), "weights": str(identity.get("weights"))[:12], "seed": identity.get("seed"),
        "dtype": str(identity.get("dtype")).removeprefix("torch."), "backend": identity.get("backend"),
    }  # fmt: skip
    if run.end is None:
        ended = "the run's last process left no closing line: it was killed, or is still at work"
    else:
        reason = "everything was done" if run.end["ended"] == "done" else "the budget was used"
        ended = f"ended after {format_seconds(run.end['seconds'])} of {format_seconds(run.end['budget'])}: {reason}"
    listed = " · ".join(f"{key} <b>{escape(str(value))}</b>" for key, value in facts.items())
    whole = escape(json.dumps(identity, indent=1))
    starved = "".join(f"<p>starved: {escape(str(line))}</p>" for line in (run.end or {}).get("starved", ()))
    return (
        f'<h1>ARC run report</h1><p>{listed}</p><p class="dim">{escape(ended)}</p>{starved}'
        f"<details><summary>every hyperparameter</summary><pre>{whole}</pre></details>"
    )


def _score(solutions: Solutions, answers: Answers, outcomes: dict[str, list[str]]) -> str:
    """Both scores by name, and how many test inputs went which way."""
    result = score(answers, solutions)
    low, high = interval([all(flags) for flags in result.solved.values()])
    counts = Counter(kind for kinds in outcomes.values() for kind in kinds)
    rows = "".join(
        f'<tr><td>{_tag(kind)}</td><td class="n">{counts[kind]}</td><td class="n">{counts[kind] / result.outputs:.1%}</td>'
        f'<td class="dim">{meaning}</td></tr>'
        for kind, meaning in OUTCOMES.items()
    )
    sure = f"95% interval {low:.2%} to {high:.2%}"
    return (
        f"<h2>Score</h2><p>strict <b>{result.strict}</b> of {result.tasks} tasks ({result.strict_share:.2%}, {sure}) · "
        f"partial <b>{result.outputs_solved}</b> of {result.outputs} test outputs ({result.partial_share:.2%})</p>"
        '<table id="outcomes"><tr><th>test inputs</th><th class="n">count</th><th class="n">share</th><th></th></tr>'
        f"{rows}</table>"
    )


def _methods(run: Run, solutions: Solutions) -> str:
    """What each way of choosing two attempts would have solved."""
    found, trained = method_rows(run, solutions)
    rows = ""
    for row in found:
        cells = (
            (row.score.strict, row.score.strict_share, row.strict),
            (row.score.outputs_solved, row.score.partial_share, row.partial),
        )
        rows += f"<tr><td>{row.name.replace('_', ' ')}</td>" + "".join(
            f'<td class="n">{count}</td><td class="n">{share:.2%}</td><td class="n dim">{low:.2%} to {high:.2%}</td>'
            for count, share, (low, high) in cells
        ) + "</tr>"
    heads = ("tasks (strict)", "share", "95% interval", "outputs (partial)", "share", "95% interval")
    head = "<tr><th>method</th>" + "".join(f'<th class="n">{name}</th>' for name in heads) + "</tr>"
    note = (
        f"Two attempts chosen from the trained model's views alone, without programs; of {len(solutions)} tasks {trained} have "
        "such views, the others count as unsolved. oracle: any candidate is the answer."
    )
    return f'<h2>Voting methods</h2><p class="dim">{note}</p><table id="methods">{head}{rows}</table>'


def _stages(results: list[Result]) -> str:
    """Where the device time went."""
    rows = "".join(
        f'<tr><td>{name}</td><td class="n">{jobs}</td><td class="n">{tasks}</td><td class="n">{seconds:.1f}</td>'
        f'<td class="n">{share:.1%}</td><td class="n">{speed:.0f}</td></tr>'
        for name, jobs, tasks, seconds, share, speed in stage_rows(results)
        if jobs
    )
    names = "".join(f'<th class="n">{name}</th>' for name in ("jobs", "tasks", "device-seconds", "share", "tokens/s"))
    return f'<h2>Stages</h2><table id="stages"><tr><th>stage</th>{names}</tr>{rows}</table>'


def _forecast(run: Run, solutions: Solutions | None, outcomes: dict[str, list[str]]) -> str:
    """What the allocator foretold, beside what came."""
    solved = sum(all(kind == SOLVED for kind in kinds) for kinds in outcomes.values()) if solutions else None
    return forecast_section(run.forecasts, run.results, run.end["seconds"] if run.end else None, solved)


def _failures(results: list[Result], challenges: Challenges) -> str:
    """Failed jobs by reason, answers that were no grid, tasks that could not be read."""
    reasons = defaultdict(list)
    for result in results:
        if not result.record.ok:
            reasons[STAGE_NAMES[result.record.job.stage], result.error].append(result)
    rows = [
        f'<tr><td>{stage}</td><td class="n">{len(failed)}</td><td>{escape(str(error))}</td>'
        f"<td>{_names([t for r in failed for t in r.record.job.tasks])}</td></tr>"
        for (stage, error), failed in reasons.items()
    ]
    faults = defaultdict(Counter)  # what kept an answer from being a grid -> tasks
    for result in results:
        for name, counts in result.faults.items():
            for fault, count in counts.items():
                faults[fault][name] += count
    rows += [
        f'<tr><td>answer is no grid</td><td class="n">{tasks.total()}</td><td>{escape(fault)}</td><td>{_names(tasks)}</td></tr>'
        for fault, tasks in sorted(faults.items())
    ]
    rows += [
        f'<tr><td>broken task</td><td class="n">1</td><td>{escape(fault.reason)}</td><td>{_names([name])}</td></tr>'
        for name, fault in challenges.faulty.items()
    ]
    if not rows:
        return "<h2>Failures</h2><p>none</p>"
    head = '<tr><th>where</th><th class="n">count</th><th>what</th><th>tasks</th></tr>'
    return f'<h2>Failures</h2><table id="failures">{head}{"".join(rows)}</table>'


def _names(tasks: Sequence[str]) -> str:
    """Task ids, each once, the first `NAMED_TASKS` of them."""
    tasks = list(dict.fromkeys(tasks))
    more = f" and {len(tasks) - NAMED_TASKS} more" if len(tasks) > NAMED_TASKS else ""
    return f"<code>{escape(', '.join(tasks[:NAMED_TASKS]))}</code>{more}"


def _tasks(
    run: Run,
    challenges: Challenges,
    solutions: Solutions,
    answers: Answers,
    outcomes: dict[str, list[str]],
    out_of_time: Callable[[], bool],
) -> list[str]:
    """A section per outcome with a block per task: tasks reached, and those where the answer was found without.

    A task stands under the first outcome, in the order of `OUTCOMES`, that one of its test inputs had.
    """
    by_task, seconds = run.by_task(), defaultdict(Counter)
    for result in run.results:
        if len(result.record.job.tasks) == 1 and result.record.job.stage != "base":
            seconds[result.record.job.tasks[0]][result.record.job.stage] += result.record.seconds
    sections: dict[str, list[str]] = {kind: [] for kind in (*OUTCOMES, NOT_KNOWN)}
    for name in challenges.tasks:
        kinds = outcomes.get(name, [])
        if is_reached(by_task.get(name, {})) or SOLVED in kinds or NOT_SELECTED in kinds:
            sections[min(kinds, key=list(OUTCOMES).index, default=NOT_KNOWN)].append(name)
    parts, size = [], 0
    for kind, names in sections.items():
        if not names:
            continue
        blocks = []
        for name in names:
            if size > MAX_BYTES or out_of_time():
                break
            task, jobs, outputs = challenges.tasks[name], by_task.get(name, {}), solutions.get(name)
            blocks.append(_task(task, jobs, outputs, answers[name], outcomes.get(name, []), seconds[name]))
            size += len(blocks[-1])
        why = "to keep the file small" if size > MAX_BYTES else "as the budget was over"
        left = f", {len(names) - len(blocks)} of them not drawn {why}" if len(blocks) < len(names) else ""
        parts.append(f"<h2>Tasks: {kind} ({len(names)}{left})</h2>")
        parts += blocks
    return parts


def _task(
    task: Task,
    jobs: Jobs,
    outputs: Sequence[Grid] | None,
    attempts: list[tuple[Grid, Grid]],
    kinds: list[str],
    seconds: Counter,
) -> str:
    """One task: a line to open, under it everything drawn."""
    grids = [g for pair in task.train for g in (pair.input, pair.output)] + [pair.input for pair in task.test]
    cell = min(GREATEST_CELL, max(LEAST_CELL, GRID_SIDE // max(max(g.shape) for g in grids)))
    times = ", ".join(f"{STAGE_NAMES[stage]} {format_seconds(seconds[stage])}" for stage in STAGES if stage in seconds)
    summary = f'<code>{escape(task.id)}</code>{"".join(map(_tag, kinds))}<span class="dim">{times}</span>'
    demonstrations = "".join(
        f'<div class="pair">{grid_image(pair.input, cell)}<span>→</span>{grid_image(pair.output, cell)}</div>'
        for pair in task.train
    )
    training = [result.ttt for _, result in sorted(jobs.items()) if result.ttt and result.ttt["losses"]]
    parts = [f'<h3>Demonstrations</h3><div class="row">{demonstrations}</div>']
    for index, (pair, two) in enumerate(zip(task.test, attempts)):
        output = outputs[index] if outputs else None
        parts.append(f"<h3>Test input {index + 1} of {len(task.test)}</h3>")
        parts.append(_test(pair.input, output, two, proposals(candidates_of(jobs, task.id, index)), cell))
    if training:
        parts.append(_training(training[0]))
    body = f'<div class="body">{"".join(parts)}</div>'
    return f'<details class="task" style="--c:{cell}px"><summary>{summary}</summary>{body}</details>'


def _test(input: Grid, output: Grid | None, attempts: tuple[Grid, Grid], found: list[Proposal], cell: int) -> str:
    """One test input: itself, the answer, the attempts, the candidates with most votes and the one that is right."""
    right = None if output is None else grid_key(output)
    known = [_figure("input", input, cell)]
    if output is not None:
        known.append(_figure("expected output", output, cell))
    known += [_figure(f"attempt {i}", grid, cell, grid_key(grid) == right) for i, grid in enumerate(attempts, 1)]
    row = f'<div class="row">{"".join(known)}</div>'
    if not found:
        return row + '<p class="dim">no candidate: the attempts are placeholders</p>'
    trained, untrained, proposed = sum(p.trained for p in found), sum(p.untrained for p in found), []
    for place, proposal in enumerate(found, 1):
        is_right = grid_key(proposal.grid) == right
        if place > TOP_PROPOSALS and not is_right:
            continue
        votes = [f"{proposal.trained} of {trained} votes"] if trained else []
        votes += [f"{proposal.untrained} of {untrained} untrained"] if proposal.untrained else []
        note = f"{', '.join(votes)}\nlog-probability {proposal.log_prob:.2f}"
        views = ", ".join(f"{name} {count}" for name, count in sorted(proposal.views.items()))
        proposed.append(_figure(f"candidate {place}", proposal.grid, cell, is_right, note, f"views: {views}"))
    return f'{row}<h3>Candidates: {len(found)} different grids</h3><div class="row">{"".join(proposed)}</div>'


def _figure(name: str, grid: Grid, cell: int, right: bool = False, note: str = "", title: str = "") -> str:
    frame = ' class="right"' if right else ""
    hint = f' title="{escape(title)}"' if title else ""
    caption = escape(f"{name}{' ✓' if right else ''}\n{note}".strip())
    return f"<figure{frame}{hint}><figcaption>{caption}</figcaption>{grid_image(grid, cell)}</figure>"


def _training(ttt: dict) -> str:
    losses = ttt["losses"]
    return (
        f"<h3>Test-time training</h3><p>{loss_curve(losses)} loss {losses[0]:.3g} → {losses[-1]:.3g} (logarithmic) over "
        f"{ttt['steps']} steps, {ttt['tokens']} tokens; ended: {escape(ttt['ended'])}</p>"
    )


def _tag(kind: str) -> str:
    return f'<span class="tag {kind.removeprefix("not ")}">{kind}</span>'
