"""`python -m tests.faults`: run the campaign, and print its table: faults tried by kind, kills, failures.

In:  options of pytest; `--slow` for the thousand kills, FAULTS_SEED for the same random moments. Out: the table, the exit code.
"""

import sys
from collections import Counter
from pathlib import Path

import pytest


class Table:
    """Counts what the tests say they tried (`record_property`), one fault where they say nothing."""

    def __init__(self):
        self.tried, self.kills, self.failed, self.skipped = Counter(), Counter(), Counter(), Counter()

    def pytest_runtest_logreport(self, report) -> None:
        kind = report.nodeid.partition("::")[2].partition("[")[0].removeprefix("test_").replace("_", " ")
        self.skipped[kind] += report.skipped
        self.failed[kind] += report.failed
        if report.when == "call" and not report.skipped:
            said = dict(report.user_properties)
            self.tried[kind] += said.get("faults", 1)
            self.kills[kind] += said.get("kills", 0)

    def __str__(self):
        kinds = sorted({*self.tried, *self.failed, *self.skipped})
        width = max([len(kind) for kind in kinds], default=0)
        rows = [f"{'kind':{width}}{'faults':>9}{'kills':>8}{'failed':>8}{'skipped':>9}"]
        columns = (self.tried, self.kills, self.failed, self.skipped)
        for kind, *row in [(kind, *(column[kind] for column in columns)) for kind in kinds]:
            rows.append(f"{kind:{width}}{row[0]:>9}{row[1]:>8}{row[2]:>8}{row[3]:>9}")
        totals = [sum(column.values()) for column in columns]
        return "\n".join([*rows, f"{'all':{width}}{totals[0]:>9}{totals[1]:>8}{totals[2]:>8}{totals[3]:>9}"])


if __name__ == "__main__":
    table = Table()
    code = pytest.main([str(Path(__file__).parent), "-n", "0", "-q", *sys.argv[1:]], plugins=[table])
    print(f"\n{table}")
    sys.exit(code)
