"""What must hold of a run, whatever was done to it.

In:  a run's folder. Out: an assertion that fails with one line. Not here: what was done to it.
"""

import json
from pathlib import Path

from solution.arc.submission import validate_submission
from solution.driver.journal import read_lines


def write_challenges(folder: Path, tasks: dict[str, dict]) -> None:
    (folder / "challenges.json").write_text(json.dumps(tasks))


def num_tests(folder: Path) -> dict[str, int]:
    return {name: len(task["test"]) for name, task in json.loads((folder / "challenges.json").read_text()).items()}


def journal(folder: Path) -> Path:
    return folder / "submission.run" / "journal.jsonl"


def job_lines(folder: Path) -> list[dict]:
    """The journal's lines of jobs that ended well."""
    found = read_lines(journal(folder))[0] if journal(folder).exists() else []
    return [line for line in found if line.get("kind") == "job" and line["record"]["ok"] and not line["record"]["cut"]]


def jobs(folder: Path) -> dict[str, str]:
    """The answers of the journal: what each job brought, by what it was; slices of trainings bring none."""
    found = [line for line in job_lines(folder) if line["candidates"]]
    return {json.dumps(line["record"]["job"]): json.dumps(line["candidates"]) for line in found}


def check_files(folder: Path, may_be_absent: bool = False) -> None:
    """The submission is whole and valid. `may_be_absent`: the run was refused, or ended before its first second was over."""
    path = folder / "submission.json"
    if may_be_absent and not path.exists():
        assert not jobs(folder), "there are answers, but no submission"
        return
    assert validate_submission(path, num_tests(folder)) == []


def check_kept(before: dict[str, str], folder: Path) -> None:
    """No answer is lost: those of the journal before are in it now, and no other."""
    now = jobs(folder)
    lost = [job for job, found in before.items() if now.get(job) != found]
    assert not lost, f"{len(lost)} of {len(before)} answers are lost: {lost[0]}"


def check_words(printed: str, words: tuple[str, ...] = ()) -> None:
    """One line says each of `words`, and nobody has to read a traceback."""
    for wanted in words:
        assert wanted in printed, f"no line says {wanted!r}:\n{printed[-2000:]}"
    assert "Traceback" not in printed and "--- Logging error ---" not in printed, printed[-3000:]
