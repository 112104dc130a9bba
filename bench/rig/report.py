"""Turns a session into a page (Markdown) and a record of every run (JSON)."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from .plan import Budget, Cell, Scenario
from .session import Session, median
from .tables import BUDGETS, CPU, Table, tables_of

def number(value: float) -> str:
    """Three significant digits, and thousands apart."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value else "0"


class Report:
    def __init__(self, session: Session, scenarios: list[Scenario], head: dict[str, object],
                 absent: dict[str, str], versions: dict[str, str]) -> None:
        self.session = session
        self.scenarios = scenarios
        self.head = head
        self.absent = absent
        self.versions = versions

    def value(self, cell: str, label: str, metric: str) -> float | None:
        """The median over the runs that count."""
        runs, _ = self.session.best_runs(cell, label)
        values = [r.figures[metric] for r in runs if metric in r.figures]
        return median(values) if values else None

    def mark(self, cell: str, label: str) -> str:
        return "" if self.session.best_runs(cell, label)[1] else "*"

    def write(self, stem: Path) -> None:
        stem.parent.mkdir(parents=True, exist_ok=True)
        stem.with_suffix(".md").write_text(self.page())
        stem.with_suffix(".json").write_text(json.dumps(self.record(), indent=1) + "\n")

    def page(self) -> str:
        lines = [f"# Benchmark, {self.head['date']}", "", self._sentence(), ""]
        lines += self._table(["server", "version"], [[k, v] for k, v in self.versions.items()])
        if self.absent:
            lines += ["", "Not measured: " + "; ".join(f"{k} ({v})" for k, v in self.absent.items()) + "."]
        lines += ["", f"Medians of quiet runs; `*`: there was none, so of runs in which other work shared the cores, which raises "
                  f"every figure; `n=`: fewer than {self.session.pace.repeats} runs. {self._dropped()}"]
        budgets = [row for s in self.scenarios for c in s.cells for b in c.budgets if (row := self._budget(c, b))]
        if budgets:
            lines += ["", "## Budgets", ""]
            lines += self._table(["cell", "what", "budget", "measured", ""], budgets)
        for scenario in self.scenarios:
            lines += self._scenario(scenario)
        return "\n".join(lines) + "\n"

    def _sentence(self) -> str:
        h = self.head
        return (f"{h['cpu']}, {h['cores']} cores, {h['memory_gib']} GiB, {h['system']}, Linux {h['kernel']}, TCP "
                f"{h['congestion_control']}; commit {h['commit']}. {h['disk']}. Server on core 0, generator on core 1, loopback, no TLS unless it says so. "
                f"Runs of {self.session.pace.seconds} s after {self.session.pace.warm_seconds} s of warm-up, the servers in turn.")

    def _dropped(self) -> str:
        runs = self.session.runs
        faulty = sum(1 for r in runs if r.fault)
        near = sum(map(self.session.near, runs))
        quiet = sum(map(self.session.quiet, runs))
        return (f"Of {len(runs)} runs {quiet} were quiet, {near - quiet} disturbed by other work, {len(runs) - near - faulty} "
                f"dropped because the cores were far apart, and {faulty} failed."
                + (" **The time limit ended the sitting: cells are missing or short of runs.**" if self.session.cut_short else ""))

    @staticmethod
    def _table(head: list[str], rows: list[list[str]]) -> list[str]:
        return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in rows)]

    def _budget(self, cell: Cell, budget: Budget) -> list[str] | None:
        got = self.value(cell.name, budget.label, budget.metric)
        if got is None:
            return None
        name = BUDGETS[budget.metric]
        sign = "≥" if budget.at_least else "≤"
        mark = self.mark(cell.name, budget.label) or (self.mark(*budget.against) if budget.against else "")
        if budget.against:
            base = self.value(*budget.against, budget.metric)
            if not base:
                return None
            ratio = got / base
            other = budget.against[1] if budget.against[0] == cell.name else budget.against[0]
            return [cell.name, f"{budget.label}: {name}", f"{sign} {budget.limit:g} × {other}",
                    f"{ratio:.2f} ({number(got)} / {number(base)}){mark}", "met" if ratio <= budget.limit else "**missed**"]
        met = got >= budget.limit if budget.at_least else got <= budget.limit
        return [cell.name, f"{budget.label}: {name}", f"{sign} {budget.limit:g}", number(got) + mark, "met" if met else "**missed**"]

    def _scenario(self, scenario: Scenario) -> list[str]:
        cells = [c for c in scenario.cells if any(r.cell == c.name for r in self.session.runs)]
        if not cells:
            return []
        labels = list(dict.fromkeys(e.label for c in cells for e in c.entrants if self.session.of(c.name, e.label)))
        lines = ["", f"## {scenario.title}"]
        for table in tables_of(cells[0]):
            rows = [[label, *(self._figure(c, label, table) for c in cells)] for label in labels]
            lines += ["", f"{table.title}:", "", *self._table(["", *(c.title for c in cells)], rows)]
        notes = [f"{c.name}, {label}: {fault}" for c in cells for label in labels
                 for fault in sorted({r.fault for r in self.session.of(c.name, label) if r.fault})]
        if notes:
            lines += ["", "Failed runs: " + "; ".join(notes) + "."]
        return lines

    def _cost(self, cell: Cell, label: str) -> str:
        runs, _ = self.session.best_runs(cell.name, label)
        got = self.value(cell.name, label, CPU)
        if got is None:
            return self._nothing(cell, label)
        base = self.value(cell.name, "raw", CPU)
        ratio = f" ({got / base:.2f}x)" if base else ""
        few = f" n={len(runs)}" if len(runs) < self.session.pace.repeats else ""
        return f"{number(got)}{self.mark(cell.name, label)}{ratio}{few}"

    def _nothing(self, cell: Cell, label: str) -> str:
        runs = self.session.of(cell.name, label)
        far = [r.figures[CPU] for r in runs if not r.fault and CPU in r.figures]
        if far:
            return f"far: {number(median(far))}"
        return "failed" if runs else "–"

    def _figure(self, cell: Cell, label: str, table: Table) -> str:
        if table.how == "cost":
            return self._cost(cell, label)
        values = [self._plain(cell, label, m) if table.how == "plain" else self.value(cell.name, label, m) for m in table.metrics]
        known = [number(v * table.scale) for v in values if v is not None]
        if not known:
            return self._nothing(cell, label) if table.how == "plain" else "–"
        return " / ".join(known) + ("" if table.how == "plain" else self.mark(cell.name, label))

    def _plain(self, cell: Cell, label: str, metric: str) -> float | None:
        """Of a figure that does not depend on where the cores are every good run counts."""
        values = [r.figures[metric] for r in self.session.of(cell.name, label) if not r.fault and metric in r.figures]
        return median(values) if values else None

    def record(self) -> dict[str, object]:
        calm = self.session.calm
        runs = []
        for r in self.session.runs:
            state = "quiet" if self.session.quiet(r) else "near" if calm.near(r.before, r.after) else "far"
            runs.append(asdict(r) | {"state": state})
        cells = []
        for scenario in self.scenarios:
            for c in scenario.cells:
                for label in dict.fromkeys(e.label for e in c.entrants):
                    used, quiet = self.session.best_runs(c.name, label)
                    keys = {k for r in used for k, v in r.figures.items() if isinstance(v, (int, float))}
                    if used:
                        cells.append({"scenario": scenario.name, "cell": c.name, "server": label, "runs": len(used), "quiet": quiet,
                                      "median": {k: self.value(c.name, label, k) for k in sorted(keys)}})
        return {"head": self.head, "versions": self.versions, "absent": self.absent, "pace": asdict(self.session.pace),
                "near_ns": calm.near_ns, "cells": cells, "runs": runs}
