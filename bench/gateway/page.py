"""Writes the tables of docs/benchmarks.md and docs/benchmarks.zh-CN.md from the last run of bench.py.

Only what stands between the two marks is replaced; workloads that the run left out keep no row.
"""

from __future__ import annotations

import json
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BEGIN, END = "<!-- bench-gateway: begin -->", "<!-- bench-gateway: end -->"
PEERS = ("gateway", "nghttpx", "haproxy", "nginx", "envoy")
COMPARED = ("nghttpx", "nginx", "envoy")

TEXT = {
    "en": {
        "run": "Measured {date} on {cpus} CPUs (load {load:.1f} before the run), {rounds} rounds of {seconds:g} s, release build of "
        "{commit}. Ratios are medians of the rounds' pairs.",
        "cleartext": "Cleartext in front:",
        "tls": "TLS in front (ECDSA P-256, TLS 1.3):",
        "cpu": "CPU us per request",
        "small": "small: 200 B, 10 connections x 10 streams",
        "obs": "obs: 460 kB -> 2 kB, 16 connections",
        "large": "large: 2.8 MB -> 2 kB, 8 connections",
        "latobs": "latobs: 460 kB at 50/s",
        "p50": "p50 at 50/s, us ({direct:.0f} direct)",
        "rss": "peak memory, MB",
        "robots": "What robots see, one run each:",
        "scenario": "scenario",
        "lb": "unequal workers (8 and 24 ms, serial), Poisson 100/s: p50 / p90 / p99 ms",
        "fail": "backend killed for 3 s, 460 kB at 60/s: errors / uploads repeated",
        "goaway": "GOAWAY every 500 requests: errors / uploads repeated",
    },
    "zh": {
        "run": "{date} 在 {cpus} 个 CPU 上测得（开始前负载 {load:.1f}），{rounds} 轮，每轮 {seconds:g} 秒，{commit} 的 release 构建。比值是各轮配对的中位数。",
        "cleartext": "前端明文：",
        "tls": "前端 TLS（ECDSA P-256，TLS 1.3）：",
        "cpu": "每请求 CPU 微秒",
        "small": "small：200 B，10 个连接 x 10 个流",
        "obs": "obs：460 kB -> 2 kB，16 个连接",
        "large": "large：2.8 MB -> 2 kB，8 个连接",
        "latobs": "latobs：460 kB，每秒 50 个",
        "p50": "每秒 50 个时的 p50，微秒（直连 {direct:.0f}）",
        "rss": "内存峰值，MB",
        "robots": "机器人看到的（各一次）：",
        "scenario": "情形",
        "lb": "快慢不一的 worker（8 与 24 毫秒，串行），泊松 100/s：p50 / p90 / p99 毫秒",
        "fail": "后端被杀 3 秒，460 kB，60/s：错误 / 重传",
        "goaway": "每 500 个请求一次 GOAWAY：错误 / 重传",
    },
}


def steady(results: dict, text: dict) -> list[str]:
    lines = [
        f"| {text['cpu']} | " + " | ".join(PEERS) + " | " + " | ".join(f"/ {peer}" for peer in COMPARED) + " |",
        "|" + "---|" * (1 + len(PEERS) + len(COMPARED)),
    ]
    empty = " | ".join("" for _ in COMPARED)

    def cells(workload: str, key: str, form: str) -> str:
        peers = results[workload]["peers"]
        return " | ".join(form.format(peers[peer][key]) if peer in peers else "-" for peer in PEERS)

    for workload in ("small", "obs", "large", "latobs"):
        if workload in results:
            peers = results[workload]["peers"]
            ratios = [f"{peers[peer]['ratio']:.2f}" if peer in peers else "-" for peer in COMPARED]
            form = "{:.1f}" if workload == "small" else "{:.0f}"
            lines.append(f"| {text[workload]} | {cells(workload, 'cpu_us', form)} | {' | '.join(ratios)} |")
    if "latobs" in results:
        label = text["p50"].format(direct=results["latobs"]["direct_p50"])
        lines.append(f"| {label} | {cells('latobs', 'p50', '{:.0f}')} | {empty} |")
    for workload in ("small", "obs", "large"):
        if workload in results:
            lines.append(f"| {text['rss']} ({workload}) | {cells(workload, 'rss', '{:.0f}')} | {empty} |")
    return lines


def robots(results: dict, text: dict) -> list[str]:
    lines = [f"| {text['scenario']} | " + " | ".join(PEERS) + " |", "|" + "---|" * (1 + len(PEERS))]
    for name in ("lb", "fail", "goaway"):
        if name not in results:
            continue
        cells = []
        for peer in PEERS:
            seen = results[name].get(peer)
            if seen is None:
                cells.append("-")
            elif name == "lb":
                cells.append(" / ".join(f"{seen[key] / 1e3:.0f}" for key in ("p50", "p90", "p99")))
            else:
                cells.append(f"{seen['errors']} / {seen['refused']}")
        lines.append(f"| {text[name]} | " + " | ".join(cells) + " |")
    return lines


def section(record: dict, text: dict) -> str:
    lines = [text["run"].format(**record)]
    for front in ("cleartext", "tls"):
        if record[front]:
            lines += ["", text[front], "", *steady(record[front], text)]
    if record["scenarios"]:
        lines += ["", text["robots"], "", *robots(record["scenarios"], text)]
    return "\n".join(lines)


def main() -> None:
    record = json.loads((ROOT / ".state" / "bench" / "results.json").read_text())
    for page, language in (("benchmarks.md", "en"), ("benchmarks.zh-CN.md", "zh")):
        path = ROOT / "docs" / page
        before, rest = path.read_text().split(BEGIN)
        path.write_text(f"{before}{BEGIN}\n{section(record, TEXT[language])}\n{END}{rest.split(END)[1]}")
        print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
