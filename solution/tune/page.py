"""The page of an advice: one HTML file with its pictures inside.

In:  an `Advice`, its pictures. Out: HTML without scripts or outside resources.
Not here: the sentences (`words`), the pictures (`plots`).
"""

import base64
from collections.abc import Sequence
from html import escape

from .advice import Advice
from .machine import describe
from .plots import Picture
from .words import command, duration, expected, headline, numbers, percent, points, told

STYLE = """
body{font:15px/1.5 system-ui,"Segoe UI","DejaVu Sans",sans-serif;color:#1c2126;background:#f4f5f7;margin:0}
main{max-width:1060px;margin:0 auto;padding:20px 24px 60px}
h1{font-size:23px;margin:0 0 4px} h2{font-size:18px;margin:30px 0 8px} li{margin:4px 0} ul{padding-left:22px;margin:6px 0}
.big{font-size:18px;background:#fff;border-left:5px solid #0072b2;padding:12px 16px;margin:14px 0}
.dim{color:#5f6a75} code{font:13px/1.45 ui-monospace,"DejaVu Sans Mono",monospace;background:#e9ecef;padding:1px 5px}
table{border-collapse:collapse;background:#fff;border:1px solid #dfe3e8;margin:8px 0}
td,th{padding:5px 12px;border-bottom:1px solid #eceff2;text-align:left;vertical-align:top} th{color:#4b555f;font-weight:600}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap} .set{font-weight:700;white-space:nowrap}
tr.best{background:#e8f1f8} figure{margin:22px 0;background:#fff;border:1px solid #dfe3e8;padding:10px}
figure img{display:block;max-width:100%;height:auto} figcaption{color:#4b555f;font-size:14px;margin-top:6px}
"""


def render(advice: Advice, pictures: Sequence[Picture], how: str) -> str:
    """The page. `how`: the command that made it."""
    rows = "".join(
        f'<tr><td>{escape(n.what)}</td><td>{escape(n.ran)}</td><td class="set">{escape(n.advised)}</td>'
        f'<td class="dim">{escape(n.why)}</td></tr>'
        for n in numbers(advice)
    )
    sections = [
        f"<h2>{escape(heading)}</h2><ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"
        for heading, lines in told(advice)
    ]
    figures = [
        f'<figure><img src="data:image/png;base64,{base64.b64encode(p.png).decode()}" alt="{escape(p.caption)}">'
        f"<figcaption>{escape(p.caption)}</figcaption></figure>"
        for p in pictures
    ]
    journals = ", ".join(journal.name for group in advice.evidence for journal in group.journals)
    plan = advice.plan
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Budget advice</title>',
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body><main>',
        "<h1>What to set for your run</h1>",
        f'<p class="dim">{escape(describe(plan.devices))} · {duration(plan.budget)} · {plan.tasks} tasks · learnt from '
        f"{escape(journals)}</p>",
        f'<p class="big">{escape(headline(advice))}</p>',
        "<h2>What to set</h2>",
        f'<table id="numbers"><tr><th></th><th>the run had</th><th>set</th><th>why</th></tr>{rows}</table>',
        f"<p><code>{escape(command(advice))}</code></p>",
        *sections,
        "<h2>Pictures</h2>",
        *figures,
        "<h2>Settings compared</h2>",
        _compared(advice),
        "<h2>How this was made</h2>",
        f"<p>{escape(HOW)}</p><p><code>{escape(how)}</code></p>",
        _notes(advice),
        "</main></body></html>\n",
    ]
    return "\n".join(parts)


HOW = (
    "Every replay draws a set of tasks out of the recorded ones, fills in what was not measured, and lets the driver's own "
    "allocator work through them on a virtual clock. All settings meet the same draws. Scores are shares of tasks with every "
    "test input right."
)


def _compared(advice: Advice) -> str:
    """Every setting at the budget, best first."""
    own = advice.compared[advice.own]
    rows = []
    for name, forecast in sorted(advice.compared.items(), key=lambda item: -item[1].mean):
        mark = " ← set this" if name == advice.best else ""
        mark += " (as the run had it)" if name == advice.own else ""
        row = '<tr class="best">' if name == advice.best else "<tr>"
        rows.append(
            f"{row}<td>{escape(name + mark)}</td>"
            f'<td class="n">{expected(forecast)}</td><td class="n">{points(forecast, own)}</td>'
            f'<td class="n">{duration(float(forecast.ends.mean()))}</td>'
            f'<td class="n">{percent(forecast.share_of("base"))}</td></tr>'
        )
    names = ("tasks right", "against the run", "work ends after", "breadth pass")
    head = "".join(f'<th class="n">{name}</th>' for name in names)
    return f'<table id="compared"><tr><th>solvers: steps, views</th>{head}</tr>{"".join(rows)}</table>'


def _notes(advice: Advice) -> str:
    """What each trace says of itself."""
    notes = [f"{group.name}: {note}" for group in advice.evidence for note in group.trace.notes]
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<ul class="dim">{listed}</ul>'
