"""Which figures of a mode are shown, and how."""

from __future__ import annotations

from dataclasses import dataclass

from .plan import Cell

CPU = "cpu_s_per_M"
KIB_TO_MIB = 1 / 1024
US_TO_MS = 1 / 1000

BUDGETS = {CPU: "CPU-µs per message, delivery or life", "rss_per_conn": "bytes per connection", "p99_us": "p99 µs",
           "msgs_per_s": "messages/s", "deliveries_per_s": "deliveries/s", "connects_per_s": "clients/s",
           "storm_s": "seconds until all have all", "start_s": "seconds until ready"}


@dataclass(frozen=True)
class Table:
    """`how`: `cost` is CPU time with its ratio to raw; `timed` depends on the machine's state, and only runs
    that count are used; `plain` does not. Several metrics stand beside each other in one field."""

    title: str
    metrics: tuple[str, ...]
    how: str = "timed"
    scale: float = 1.0


def _cost(unit: str) -> Table:
    return Table(f"CPU-µs per {unit} (= CPU-seconds per million)", (CPU,), "cost")


def _latency(title: str, prefix: str = "", scale: float = 1.0) -> Table:
    unit = "ms" if scale == US_TO_MS else "µs"
    return Table(f"{title} in {unit}, p50 / p99 / p99.9", tuple(f"{prefix}{p}_us" for p in ("p50", "p99", "p999")), scale=scale)


_MEMORY = (Table("Bytes of the server's memory (RSS) per connection", ("rss_per_conn",), "plain"),
           Table("Server's CPU while they are idle, % of a core", ("hold_cpu_pct",), "plain"))
_CONNECTING = (_cost("connect and handshake"), Table("Connects per second", ("connects_per_s",)))

_TABLES: dict[str, tuple[Table, ...]] = {
    "echo": (_cost("message"), Table("Messages per second", ("msgs_per_s",)), _latency("Latency")),
    "fanout": (_cost("delivery"), Table("Deliveries per second", ("deliveries_per_s",)), _latency("Latency")),
    "churn": (_cost("whole life"), Table("Connections per second", ("churn_per_s",)), _latency("Latency of connecting"),
              Table("Server's memory in MiB, after a second of warm-up / after the lives", ("rss0_kib", "rss_kib"), "plain", KIB_TO_MIB)),
    "publish": (Table("Acknowledged messages per second", ("msgs_per_s",)), _latency("Publish to acknowledgement", scale=US_TO_MS),
                _cost("message"), Table("Bytes written to the disk per message", ("disk_bytes_per_message",), "plain"),
                Table("Server's memory in MiB", ("rss_kib",), "plain", KIB_TO_MIB)),
    "resume": (Table("Seconds until the last client has everything", ("storm_s",)), _latency("A client has everything", scale=US_TO_MS),
               Table("Messages per second", ("msgs_per_s",)), _cost("message"), Table("Server's CPU-seconds for the storm", ("server_cpu_s",)),
               Table("Server's memory in MiB, before / at its peak / 2 s after all have left", ("rss0_kib", "peak_kib", "rss_left_kib"),
                     "plain", KIB_TO_MIB)),
    "catchup": (Table("Messages per second to all readers together", ("msgs_per_s",)), Table("Seconds until all are live", ("catchup_s",)),
                _cost("message"), Table("CPU-µs of it for the readers alone", ("reader_cpu_us",)),
                Table("Server's CPU, % of a core: before the readers came / meanwhile", ("calm_cpu_pct", "server_cpu_pct")),
                _latency("Live publish to acknowledgement meanwhile", scale=US_TO_MS),
                _latency("The same before the readers came", "calm_", US_TO_MS),
                _latency("Live publish to delivery meanwhile", "live_", US_TO_MS), _latency("The same before", "calm_live_", US_TO_MS),
                Table("Server's memory at its peak, KiB more per reader", ("peak_per_reader",), "plain", 1 / 1024)),
    "coldstart": (Table("Seconds from the start of the process until it serves", ("start_s",), "plain"),
                  Table("Its CPU-seconds until then", ("cpu_s",), "plain"),
                  Table("Server's memory in MiB, then / 2 s later", ("rss_kib", "rss_settled_kib"), "plain", KIB_TO_MIB),
                  Table("Store in MiB", ("store_bytes",), "plain", 1 / 1048576)),
}


def tables_of(cell: Cell) -> tuple[Table, ...]:
    if cell.mode != "idle":
        return _TABLES[cell.mode]
    return _CONNECTING if cell.door == "churn" else _MEMORY + _CONNECTING
