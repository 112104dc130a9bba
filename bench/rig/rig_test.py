"""Tests of the bench itself: python3 -m unittest discover -s bench -p '*_test.py'"""

from __future__ import annotations

import base64
import hashlib
import hmac
import tempfile
import unittest
from pathlib import Path

from rig import scenarios, servers
from rig.machine import Calm, Reading
from rig.report import Report, number
from rig.scenarios import Budget, Cell, Entrant, Scenario
from rig.server import Server
from rig.session import Pace, Run, Session

NEAR = Reading(pingpong_ns=100, alu_ms=20, wake_ns=5000)
FAR = Reading(pingpong_ns=400, alu_ms=20, wake_ns=12000)
SLOW = Reading(pingpong_ns=100, alu_ms=30, wake_ns=5000)


def session_of(*runs: Run) -> Session:
    session = Session(Pace(repeats=3), Calm(near_ns=200))
    session.calm.learn(NEAR)
    session.runs = list(runs)
    return session


def run_of(cost: float, before: Reading = NEAR, after: Reading = NEAR, foreign: float = 0, label: str = "tidewire", fault: str = "") -> Run:
    return Run("cell", label, before, after, {"cpu_s_per_M": cost, "foreign_pct": foreign, "msgs_per_s": 1e6}, fault)


class RunsThatCount(unittest.TestCase):
    def test_a_far_run_never_counts(self) -> None:
        runs, quiet = session_of(run_of(5, after=FAR)).best_runs("cell", "tidewire")
        self.assertEqual((runs, quiet), ([], False))

    def test_disturbed_runs_count_only_where_no_run_was_quiet(self) -> None:
        disturbed, slow, calm = run_of(3, foreign=40), run_of(4, before=SLOW), run_of(2)
        self.assertEqual(session_of(disturbed, slow).best_runs("cell", "tidewire"), ([disturbed, slow], False))
        self.assertEqual(session_of(disturbed, slow, calm).best_runs("cell", "tidewire"), ([calm], True))

    def test_a_failed_run_does_not_count(self) -> None:
        self.assertEqual(session_of(run_of(1, fault="lost 3")).best_runs("cell", "tidewire"), ([], False))


class Page(unittest.TestCase):
    def page(self, budget: Budget, *runs: Run) -> str:
        part = [Entrant(label, Server(label, "")) for label in dict.fromkeys(r.label for r in runs)]
        plan = [Scenario("s", "Title", [Cell("cell", "c", "echo", [], part, budgets=[budget])])]
        head = dict.fromkeys(("date", "cpu", "cores", "memory_gib", "system", "kernel", "congestion_control", "commit"), "x")
        return Report(session_of(*runs), plan, head, {"nats": "not installed"}, {}).page()

    def test_says_whether_a_budget_is_met_against_another_server(self) -> None:
        budget = Budget("cpu_s_per_M", 1.10, against=("cell", "raw"))
        self.assertIn("1.05 (2.1 / 2) | met", self.page(budget, run_of(2.1), run_of(2, label="raw")))
        self.assertIn("1.50 (3 / 2) | **missed**", self.page(budget, run_of(3), run_of(2, label="raw")))

    def test_marks_disturbed_figures_and_shows_far_ones_apart(self) -> None:
        page = self.page(Budget("cpu_s_per_M", 9), run_of(3, foreign=50), run_of(7, before=FAR, label="raw"))
        self.assertIn("| tidewire | 3* n=1 |", page)
        self.assertIn("| raw | far: 7 |", page)
        self.assertIn("nats (not installed)", page)

    def test_writes_numbers_with_three_digits(self) -> None:
        self.assertEqual([number(v) for v in (0.0, 0.08312, 1.7349, 123.4, 1234567.0)], ["0", "0.0831", "1.73", "123", "1,234,567"])


class Plan(unittest.TestCase):
    def test_every_scenario_can_be_built_and_cell_names_are_unique(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            plan = scenarios.build(list(scenarios.NAMES), servers.all_servers(Path("tidewire")), Path(folder))
        names = [c.name for s in plan for c in s.cells]
        self.assertEqual(len(names), len(set(names)))
        for scenario in plan:
            for cell in scenario.cells:
                for entrant in cell.entrants:
                    self.assertIn(cell.door or cell.mode, entrant.server.flags)

    def test_tokens_are_signed_with_the_development_secret(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            lines = scenarios.tokens(Path(folder), 3).read_text().split()
        self.assertEqual(len(set(lines)), 3)
        body, _, mac = lines[0].rpartition(".")
        expected = hmac.new(scenarios.DEVELOPMENT_SECRET, body.encode(), hashlib.sha256).digest()
        self.assertEqual(base64.urlsafe_b64decode(mac + "="), expected)


if __name__ == "__main__":
    unittest.main()
