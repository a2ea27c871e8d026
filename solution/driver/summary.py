"""The table at the end of a run: tasks reached, time and speed per stage, failures, and the score where it is known.

In:  setup and outcome. Out: text. Every number was measured in this run or says otherwise.
"""

from collections import Counter

from ..arc.score import bootstrap_interval
from ..report.outcome import stage_rows
from ..schedule.job import STAGES
from .clock import format_seconds
from .run import Outcome, Setup


def summary(setup: Setup, outcome: Outcome, planned: dict[str, float]) -> str:
    """The closing text of a run. `planned`: share of the device time planned for each stage at the start."""
    lines = ["", f"{'stage':28}{'jobs':>6}{'tasks':>7}{'planned':>9}{'spent':>8}{'seconds':>10}{'tokens/s':>10}"]
    for stage, row in zip(STAGES, stage_rows(outcome.results)):
        name, jobs, tasks, seconds, share, speed = row
        if stage in ("joint", "written") and getattr(setup.preset, stage) is None:
            continue
        lines.append(f"{name:28}{jobs:>6}{tasks:>7}{planned.get(stage, 0.0):>9.0%}{share:>8.0%}{seconds:>10.1f}{speed:>10.0f}")
    if setup.journal.results:
        lines.append(f"resumed: {len(setup.journal.results)} earlier jobs came from the journal")
    failed = [r for r in outcome.results if not r.record.ok]
    if failed:
        counts = Counter(r.error for r in failed)
        lines.append("failed jobs: " + "; ".join(f"{n} x {reason}" for reason, n in counts.most_common(5)))
    for name, fault in setup.challenges.faulty.items():
        lines.append(f"task {name} is broken and got a placeholder: {fault.reason}")
    if setup.board.faults:
        lines.append("answers that were no grid: " + ", ".join(f"{name} {n}" for name, n in sorted(setup.board.faults.items())))
    ended = {"done": "everything was done", "budget": "the clock left no room for more", "lost": "every device was lost"}
    lasted = f"{format_seconds(setup.clock.elapsed())} of {format_seconds(setup.clock.budget)}"
    lines.append(f"ended after {lasted}: {ended[outcome.ended]}")
    if outcome.first_answer is not None:
        lines.append(f"first model answer after {outcome.first_answer:.1f}s")
    if setup.solutions is not None:
        before, after = setup.board.score_before_training(setup.solutions), setup.board.score(setup.solutions)
        for name, score in (("one view, before training", before), ("submission", after)):
            low, high = bootstrap_interval([all(f) for f in score.solved.values()])
            strict = f"strict {score.strict} of {score.tasks} tasks ({score.strict_share:.2%}, 95% {low:.2%} to {high:.2%})"
            partial = f"partial {score.outputs_solved} of {score.outputs} outputs ({score.partial_share:.2%})"
            lines.append(f"score, {name}: {strict}; {partial}")
    return "\n".join(lines)
