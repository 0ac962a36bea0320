"""Honest robots beside one offender after the other (offenders.py): `beside.py CONFIG SECONDS OFFENCE...`.

Four robots ask one observation after the other, one registers again and again. For every offence one line of JSON: their
failures, how often they were answered, the slowest of a hundred before and beside it, and which limits the gateway counted.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time

import grpc
from offenders import FLEET, INFER, Fleet, text

LIMITS = re.compile(r'^groot_gateway_(?:limits_hit|control_refused|control_forbidden)_total(?:\{limit="([^"]+)"\})? (\d+)', re.M)


class Robots:
    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.lock = threading.Lock()
        self.clear()
        self.threads = [threading.Thread(target=self.ask, args=(name,), daemon=True) for name in fleet.config["honest"]]
        self.threads.append(threading.Thread(target=self.register, args=(fleet.config["honest"][0],), daemon=True))
        for thread in self.threads:
            thread.start()

    def clear(self) -> tuple[list[float], list[str], list[str]]:
        with self.lock:
            old = getattr(self, "times", []), getattr(self, "failures", []), getattr(self, "refusals", [])
            self.times, self.failures, self.refusals = [], [], []
            return old

    def ask(self, name: str) -> None:
        body = self.fleet.request + text(1, name)
        with self.fleet.channel(name) as channel:
            infer = channel.unary_unary(INFER, request_serializer=bytes, response_deserializer=bytes)
            while True:
                began = time.monotonic()
                try:
                    infer(body, timeout=10, metadata=[("groot-runway-ms", "3000")])
                    with self.lock:
                        self.times.append(time.monotonic() - began)
                except grpc.RpcError as error:
                    with self.lock:
                        self.failures.append(f"{name}: {error.code().name} {error.details()}"[:400])
                time.sleep(0.02)

    def register(self, name: str) -> None:
        with self.fleet.channel(name) as channel:
            method = channel.unary_unary(FLEET + "RegisterRobot", request_serializer=bytes, response_deserializer=bytes)
            while True:
                try:
                    method(text(1, name) + text(2, "boot"), timeout=10)
                except grpc.RpcError as error:
                    with self.lock:
                        self.refusals.append(f"{error.code().name} {error.details()}"[:400])
                time.sleep(0.2)


def slowest(times: list[float]) -> float:
    """One answer in a hundred takes longer, seconds."""
    return sorted(times)[max(0, len(times) * 99 // 100 - 1)] if times else -1


def limits(fleet: Fleet) -> dict[str, int]:
    _, page = fleet.admin(fleet.config["gateway_admin"], "GET", "/metrics")
    return {name or "forbidden": int(count) for name, count in LIMITS.findall(page)}


def main() -> None:
    fleet, seconds = Fleet(sys.argv[1]), float(sys.argv[2])
    robots = Robots(fleet)
    time.sleep(2)
    for offence in sys.argv[3:]:
        robots.clear()
        time.sleep(1)
        before, _, _ = robots.clear()
        counted = limits(fleet)
        # An upload takes two seconds, and a worker has to be found first.
        lasts = seconds * 2 if offence.endswith(("-worker", "-uploads")) else seconds
        script = [sys.executable, sys.argv[0].replace("beside.py", "offenders.py"), sys.argv[1], offence, str(lasts)]
        with subprocess.Popen(script, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as offender:
            output, errors = offender.communicate()
        times, failures, refusals = robots.clear()
        lines = output.split("\n")
        print(json.dumps({
            "offence": offence, "answers": len(times), "failures": failures[:10], "refusals": refusals[:10],
            "before": slowest(before), "beside": slowest(times),
            "said": json.loads(lines[1])["said"] if len(lines) > 1 and lines[1] else {}, "problem": errors[-600:],
            "limits": {name: count - counted.get(name, 0) for name, count in limits(fleet).items() if count > counted.get(name, 0)},
            "ready": fleet.admin(fleet.config["gateway_admin"], "GET", "/readyz")[0],
        }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
