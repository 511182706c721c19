"""``docs/rewrites.md``, made from the rules: ``python -m subtensor.rewrites.document > docs/rewrites.md``."""

from __future__ import annotations

import sys

from subtensor import rewrites
from subtensor.rewrites.engine import KEEPS, RULES, Rewrite

_TITLES = {
    "canonical": "Cheap forms",
    "rows": "From the whole table to rows",
    "subsets": "Reads and writes",
    "lift": "Reads lifted through what computes",
    "masks": "Masks",
    "loops": "Loops",
    "stable": "Stable forms",
}

_HEAD = """# Rewrites

<!-- Made from the rules by `python -m subtensor.rewrites.document`; edit the rules, not this file. -->

`subtensor.function` rewrites the graph before a backend sees it. Each rule is an equation, applied from left to right
until none fits. In the equations `x[i]` is a read, `set(x, y, i)` and `inc(x, y, i)` are `x[i].set(y)` and
`x[i].inc(y)`, `inc(0, y, i)` stands for zeros with one or more increments (the gradient of a read), capital letters are
parameters such as axes, and *surely* means: proved from static shapes and from the graph. Rules that are *tried last*
wait until no other fits: they make what is cheapest to run, which no other rule looks for.

Rules that are *priced* are applied only where that pays. Increments that are carried towards a table pay where they end
in a write, a read or a sum; where all of the result is needed, as of `segment_sum(x, ids, n) @ w`, they pay only where
there are fewer of them than rows. So both forms of a node are known until it is clear what it is used for, and the
cheaper one stays. What each op reads, writes, allocates and computes is known as a formula in lengths, and two forms
are compared for every choice of lengths. Where it depends on lengths that are known only at a call, the function is
built in the form whose worst case is better, and a call for whose lengths another form is cheaper by more than a
seventh gets that form, which is built then and kept. `fn.program`, `fn.explain()` and `fn.draw()` show what ran last.

What a rule keeps:

- `value`: every element, bit for bit.
- `rounding`: the same numbers up to rounding; the sign of a zero may differ.
- `finite`: as `rounding`, where factors are finite and divisors are not zero. Elsewhere the form as written makes NaN
  of the rows that nothing selects (`0 * inf`, `0 / 0`), and the rewritten one leaves them as they are.
- `stabilize`: the mathematical value, where the form as written overflows, underflows or cancels.

No rule removes an error of the form as written, or changes its text: errors are worded from the graph as written.

`function(..., rewrites=False)` switches all rules off; `rewrites=["-stabilize", "-lift"]` leaves out what keeps that,
or carries that tag or name; `rewrites=["rows"]` uses those only. `rewrites="unpriced"` applies all wherever they fit,
also where that costs more: for tests, and to see what a price decided. `fn.explain(rewrites=True)` lists what was
applied, and `fn.draw(stage="both")` shows the graph before and after.

Each rule is tested by `test_rewrites.py` in `frontend/tests/rewrites/`, under the rule's name: it alone on, against all
rules off, over dtypes, empty shapes, repeated, negative and bad indices, NaN and infinities, on graphs of the rule's
own pattern. `test_rewrites_programs.py` does the same for random whole programs, `test_rewrites_rows.py` for spellings
of a row update, and `test_rewrites_stable.py` for stable forms on large operands. Sub-graphs, such as the rows of a
Jacobian, are rewritten by the same rules. `test_prices.py` tries on random programs that the modelled cost never rises,
and where rules must not be applied; `bench_costs.py` holds the model against measurement.
"""

_TAIL = """## What is left as written, and why

- **`x + 0` of floats**, where x may hold `-0.0`: the sum is `0.0`. The rules that turn sums with a gradient into
  writes of rows do lose that sign in rows that nothing selects, and are marked `rounding` for it.
- **`x[a:][b:]` with symbolic bounds**: two slices are two views, which cost nothing; one slice would need its bounds
  computed, clamped to the length at each step, since either may be negative or too large. Positions within such a
  slice, `x[a:b][k]`, are merged, for then no length depends on a value, and a gradient does not fill the slice.
- **Whole-table expressions in which no element stays**, such as `0.9 * W` or momentum: every row changes. The
  optimizers keep state by row.
- **Nonlinear functions of a gradient** by elements, `clip(g, -1, 1)`, `tanh(g)`, `sign(g)`, and norms, `sum(g * g)`
  over all axes or within rows, act on the sums over distinct rows. What the rules do not follow: functions along an
  axis, such as `cumsum` or `max`; gradients by other indices than rows; and tables of fewer than 64 rows.
- **A write at `unique(ids)` of signed ids** is an increment and no set: -1 and the last row are one position. It is a
  set for unsigned ids, and for ids that are known not to be negative.
- **A read of what was written by several index arrays at once**, `x[i, j].inc(y)[k, l]`: the written tensor is made.
"""


def markdown() -> str:
    """The page."""
    groups: dict[str, list[Rewrite]] = {tag: [] for tag in _TITLES}
    for rule in RULES.values():
        groups[next(tag for tag in _TITLES if tag in rule.tags)].append(rule)
    parts = [_HEAD]
    for tag, title in _TITLES.items():
        parts.append(f"## {title}: `{tag}`\n")
        parts.append("| name | equation | condition | keeps |\n|---|---|---|---|")
        parts += [_row(r) for r in groups[tag]]
        parts.append("")
    parts.append(_TAIL)
    return "\n".join(parts)


def _row(r: Rewrite) -> str:
    equation = r.equation.replace("|", "\\|")
    when = "; ".join(filter(None, (r.when, "priced" if r.priced else ""))) or "always"
    return f"| `{r.name}` | `{equation}` | {when} | {r.keeps} |"


if __name__ == "__main__":
    assert rewrites.engine.RULES is RULES
    assert set(KEEPS) >= {r.keeps for r in RULES.values()}
    sys.stdout.write(markdown())
