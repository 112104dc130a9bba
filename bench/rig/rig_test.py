"""Tests of the bench itself: python3 -m unittest discover -s bench -p '*_test.py'"""

from __future__ import annotations

import base64
import hashlib
import hmac
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from rig import coldstart, scenarios, servers
from rig.machine import Calm, Disk, Reading
from rig.plan import Budget, Cell, Entrant, Scenario
from rig.report import Report, number
from rig.server import Running, Server
from rig.session import Pace, Run, Session
from rig.tables import tables_of
from rig.tokens import DEVELOPMENT_SECRET, tokens

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
        head = dict.fromkeys(("date", "cpu", "cores", "memory_gib", "system", "kernel", "congestion_control", "commit", "disk"), "x")
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


    def test_shows_several_figures_of_a_cell_beside_each_other(self) -> None:
        run = run_of(3)
        run.figures |= {"storm_s": 0.8, "p50_us": 4e5, "p99_us": 7e5, "p999_us": 8e5, "rss0_kib": 10240, "peak_kib": 20480, "rss_left_kib": 15360}
        part = [Entrant("tidewire", Server("tidewire", ""))]
        plan = [Scenario("s", "Title", [Cell("cell", "c", "resume", [], part, program="logload", budgets=[Budget("storm_s", 5)])])]
        head = dict.fromkeys(("date", "cpu", "cores", "memory_gib", "system", "kernel", "congestion_control", "commit", "disk"), "x")
        page = Report(session_of(run), plan, head, {}, {}).page()
        self.assertIn("| tidewire | 400 / 700 / 800 |", page)
        self.assertIn("| tidewire | 10 / 20 / 15 |", page)
        self.assertIn("| cell | tidewire: seconds until all have all | ≤ 5 | 0.8 | met |", page)


class Asleep(Server):
    """A server that does nothing but leave a file behind."""

    def command(self, mode: str, port: int, folder: Path, deflate: bool) -> tuple[list[str], dict[str, str]]:
        return ["sh", "-c", "echo x >>starts; echo up; exec sleep 60"], {}

    def answers(self, running: Running) -> bool:
        return (running.folder / "output").read_text() == "up\n"


class ColdStart(unittest.TestCase):
    @mock.patch.object(coldstart, "SETTLE_S", 0)
    def test_makes_a_store_once_and_starts_on_it_each_time(self) -> None:
        filled = []
        stores = coldstart.Stores()
        entrant = Entrant("asleep", Asleep("asleep", ""))
        try:
            for how in ("warm", "cold", "killed"):
                cell = Cell(f"coldstart-{how}", "c", "coldstart", ["--stop", how], [entrant], program="logload")
                figures, fault = stores.measure(cell, entrant, lambda c, e, running: filled.append(running.folder))
                self.assertEqual(fault, "")
                self.assertGreater(figures["rss_kib"], 0)
            starts = (filled[0] / "starts").read_text().split()
        finally:
            stores.remove()
        self.assertEqual((len(filled), len(starts)), (2, 5))  # the second time before the kill
        self.assertFalse(filled[0].exists())


class Plan(unittest.TestCase):
    def test_every_scenario_can_be_built_and_cell_names_are_unique(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            plan = scenarios.build(list(scenarios.NAMES), servers.all_servers(Path("tidewire")), Path(folder))
        names = [c.name for s in plan for c in s.cells]
        self.assertEqual(len(names), len(set(names)))
        for scenario in plan:
            for cell in scenario.cells:
                self.assertTrue(tables_of(cell))
                for entrant in cell.entrants:
                    self.assertIn(cell.door or cell.mode, entrant.server.flags)

    def test_a_disk_in_memory_is_not_real(self) -> None:
        self.assertEqual([Disk("tmpfs", 1).real, Disk("ext2/ext3", 400).real], [False, True])

    def test_tokens_are_signed_with_the_development_secret(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            lines = tokens(Path(folder), 3).read_text().split()
        self.assertEqual(len(set(lines)), 3)
        body, _, mac = lines[0].rpartition(".")
        expected = hmac.new(DEVELOPMENT_SECRET, body.encode(), hashlib.sha256).digest()
        self.assertEqual(base64.urlsafe_b64decode(mac + "="), expected)


if __name__ == "__main__":
    unittest.main()
