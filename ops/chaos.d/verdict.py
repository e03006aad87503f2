"""What a plan found, beside what it may cost. Numbers are seconds unless a name says otherwise."""
import math


def quantile(values, q):
    """The nearest-rank quantile; infinite where a value is."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(q * len(ordered)) - 1))] if ordered else math.nan


class Verdict:
    """A list of objectives, each met or not. One that measured nothing is not met."""

    def __init__(self, plan):
        self.plan, self.rows = plan, []

    def at_most(self, name, values, bar, q=0.95, unit="s", detail=""):
        values = [values] if isinstance(values, (int, float)) else list(values)
        found = quantile(values, q)
        self.rows.append({"objective": name, "n": len(values), "value": None if math.isnan(found) else found, "bar": bar, "unit": unit, "quantile": q if len(values) > 1 else None, "detail": str(detail), "met": bool(found <= bar)})

    def is_true(self, name, holds, detail=""):
        self.rows.append({"objective": name, "value": bool(holds), "detail": str(detail) if detail or detail == 0 else "", "met": bool(holds)})

    @property
    def passed(self):
        return bool(self.rows) and all(row["met"] for row in self.rows)

    def json(self):
        def finite(value):
            return "never" if isinstance(value, float) and math.isinf(value) else value
        return {"plan": self.plan, "passed": self.passed, "objectives": [{key: finite(value) for key, value in row.items()} for row in self.rows]}

    def text(self):
        lines = [f"{self.plan}: {'passed' if self.passed else 'FAILED'}"]
        for row in self.rows:
            mark = "ok  " if row["met"] else "MISS"
            if "bar" not in row:
                lines.append(f"  {mark} {row['objective']}" + (f" ({row['detail']})" if row["detail"] else ""))
                continue
            value = "nothing measured" if row["value"] is None else "never" if math.isinf(row["value"]) else f"{row['value']:.3f} {row['unit']}"
            of = f" p{row['quantile'] * 100:g} of {row['n']}" if row["quantile"] else ""
            lines.append(f"  {mark} {row['objective']}{of}: {value} (at most {row['bar']} {row['unit']})" + (f"; {row['detail']}" if row["detail"] and not row["met"] else ""))
        return "\n".join(lines)

