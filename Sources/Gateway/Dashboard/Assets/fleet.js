// The fleet at a glance: is anyone starving, and why.
import {axis, crossMark, frame, legend, lineMark, path, scale, stepsOver} from "/dashboard/charts.js"
import {badge, h, s, table} from "/dashboard/dom.js"
import {ms, number, percent, seconds, t} from "/dashboard/text.js"

// The bar of the runway is full at this many seconds, about one chunk's motion.
const fullRunway = 1.6
const outcomes = {success: "good", refused: "good", running: "", dropped: "bad", wrong_box: "bad", failure: "bad", timeout: "warn", aborted: "warn"}

export function outcomeBadge(outcome) { return badge(t(outcome), outcomes[outcome] ?? "") }

export function fleetPage(fleet) {
  if (!fleet) return [h("h1", {}, t("fleet")), h("p", {class: "empty"}, t("connecting"))]
  const now = Date.parse(fleet.time)
  const robots = known(fleet)
  const asking = robots.filter(robot => robot.requests > 0)
  const sum = key => asking.reduce((total, robot) => total + (robot[key] ?? 0), 0)
  const answered = sum("requests") - sum("failed")
  const latency = fleet.latency ?? []
  const last = latency.filter(bin => bin.p50_ms !== null).at(-1)
  const up = fleet.workers.filter(worker => worker.is_up)
  return [
    h("div", {class: "head"}, h("h1", {}, t("fleet")), h("p", {class: "small"}, t("updated", {time: new Date(now).toLocaleTimeString(document.documentElement.lang)}))),
    fleet.not_ready && h("p", {class: "problem"}, t("notReady", {reason: fleet.not_ready})),
    fleet.database && h("p", {class: "problem"}, t("noDatabase", {reason: fleet.database})),
    h("div", {class: "tiles"},
      tile(t("robotsMoving"), number(asking.length), t("ofKnown", {n: number(robots.length)}), t("lastTwoMinutes")),
      tile(t("lateChunks"), answered ? percent(100 * sum("late") / answered) : "–", "", `${number(sum("late"))} / ${number(answered)}, ${t("lastTwoMinutes")}`),
      tile(t("latencyNow"), last ? number(last.p50_ms) : "–", last ? t("milliseconds") : "", last ? t("p99", {ms: number(last.p99_ms)}) : t("noTraffic")),
      tile(t("workersUp"), number(up.length), t("ofConfigured", {n: number(fleet.workers.length)}), up.map(worker => worker.name).join(", ") || "–")),
    h("section", {class: "panel"}, h("h2", {}, t("latencyTitle")), latencyChart(latency, now)),
    h("section", {class: "panel"}, h("h2", {}, t("robots")), robotTable(robots, now)),
    h("section", {class: "panel"}, h("h2", {}, t("workers")), workerTable(fleet)),
  ].filter(Boolean)
}

// What the database knows of each robot, with the runway that this gateway counts down by itself.
function known(fleet) {
  const robots = new Map((fleet.robots ?? []).map(robot => [robot.robot, {...robot}]))
  for (const live of fleet.live ?? []) {
    if (live.last_seen_ms > 10_000) continue
    const robot = robots.get(live.robot) ?? {robot: live.robot, requests: live.requests, failed: 0, late: live.dry}
    if (live.runway_ms !== undefined) robot.runway_s = live.runway_ms / 1000
    robot.last_at = new Date(Date.parse(fleet.time) - live.last_seen_ms).toISOString()
    robot.worker = live.worker ?? robot.worker
    robots.set(live.robot, robot)
  }
  return [...robots.values()].sort((a, b) => a.robot.localeCompare(b.robot, undefined, {numeric: true}))
}

function tile(name, value, unit, note) {
  return h("dl", {class: "tile"}, h("dt", {}, name), h("dd", {}, value, unit && h("small", {}, unit)), h("dd", {class: "note"}, note))
}

function latencyChart(bins, now) {
  if (bins.length === 0) return h("p", {class: "empty"}, t("noTraffic"))
  const [width, height, left, right, top, bottom] = [1240, 240, 56, 1232, 12, 210]
  const start = now - 300_000
  const x = scale(start, now, left, right)
  const highest = Math.max(10, ...bins.map(bin => bin.p99_ms ?? 0))
  const [steps, ceiling] = stepsOver(highest, 4)
  const y = scale(0, ceiling, bottom, top)
  const at = bin => x(Math.max(start, Date.parse(bin.at) + 2500))
  const shown = bins.filter(bin => Date.parse(bin.at) >= start - 5000)
  const series = key => withGaps(shown, key, at, y)
  const last = shown.filter(bin => bin.p50_ms !== null).at(-1)
  return h("div", {},
    frame(width, height, t("latencyChart", {p50: number(last?.p50_ms), p99: number(last?.p99_ms)}),
      axis(y, steps, left, right),
      [-300, -240, -180, -120, -60, 0].map(offset => s("text", {x: x(now + offset * 1000), y: 230, "text-anchor": offset === 0 ? "end" : offset === -300 ? "start" : "middle"}, offset === 0 ? t("now") : `−${-offset} ${t("seconds")}`)),
      s("path", {class: "line s2", d: path(series("p99_ms"))}),
      s("path", {class: "line s1", d: path(series("p50_ms"))}),
      shown.filter(bin => bin.late > 0).map(bin => s("path", {class: "line sbad", d: `M${at(bin) - 4} ${bottom - 8}l8 8m0 -8l-8 8`}, s("title", {}, `${bin.late}`)))),
    legend([lineMark("s1"), t("median")], [lineMark("s2"), t("percentile")], [crossMark(), t("late")]))
}

// Bins without requests are not in the data; a line across them would claim something.
function withGaps(bins, key, at, y) {
  const points = []
  bins.forEach((bin, index) => {
    if (index > 0 && Date.parse(bin.at) - Date.parse(bins[index - 1].at) > 12_000) points.push([0, null])
    points.push([at(bin), bin[key] === null ? null : y(bin[key])])
  })
  return points
}

function robotTable(robots, now) {
  return table(t("robots"), [
    {name: t("robot"), header: true, cell: robot => robot.robot},
    {name: t("state"), cell: robot => robot.outcome === "running" && !robot.requests ? badge(t("idle")) : robot.outcome ? outcomeBadge(robot.outcome) : badge(t("idle"))},
    {name: t("task"), cell: robot => robot.episode_id ? h("a", {href: `#/episodes/${robot.episode_id}`}, robot.task || robot.episode_id) : "–"},
    {name: t("runway"), cell: robot => runway(robot.runway_s)},
    {name: t("lateShare"), number: true, cell: robot => robot.requests > robot.failed ? percent(100 * robot.late / (robot.requests - robot.failed)) : "–"},
    {name: t("latencyPair"), number: true, cell: robot => robot.latency_p50_ms === null || robot.latency_p50_ms === undefined ? "–" : `${number(robot.latency_p50_ms)} / ${number(robot.latency_p99_ms)} ${t("milliseconds")}`},
    {name: t("worker"), cell: robot => robot.worker ?? "–"},
    {name: t("lastSeen"), number: true, cell: robot => robot.last_at ? t("ago", {n: number(Math.max(0, (now - Date.parse(robot.last_at)) / 1000))}) : h("span", {class: "dim"}, t("never"))},
  ], robots, t("noRobots"))
}

function runway(value) {
  if (value === null || value === undefined) return h("span", {class: "dim"}, "–")
  const share = Math.max(0, Math.min(1, value / fullRunway))
  const kind = value < 0 ? "dry" : share < 0.2 ? "low" : ""
  const bar = h("b")
  bar.style.width = `${Math.round(100 * share)}%`
  return h("span", {class: `meter ${kind}`}, h("i", {"aria-hidden": "true"}, bar), h("span", {}, seconds(value, 2)))
}

function workerTable(fleet) {
  const traffic = new Map((fleet.traffic ?? []).map(row => [row.worker, row]))
  return table(t("workers"), [
    {name: t("worker"), header: true, cell: worker => worker.name},
    {name: t("state"), cell: worker => worker.is_up ? badge(worker.is_draining ? t("draining") : t("up"), worker.is_draining ? "warn" : "good") : h("span", {}, badge(t("down"), "bad"), " ", h("span", {class: "dim small"}, worker.reason))},
    {name: t("checkpoint"), cell: worker => (worker.checkpoints ?? []).join(", ") || "–"},
    {name: t("inFlight"), number: true, cell: worker => number(worker.in_flight)},
    {name: t("waiting"), number: true, cell: worker => number(worker.waiting)},
    {name: t("batch"), number: true, cell: worker => number(traffic.get(worker.name)?.mean_batch, 1)},
    {name: t("inferTime"), number: true, cell: worker => ms(traffic.get(worker.name)?.infer_p50_ms)},
    {name: t("queueTime"), number: true, cell: worker => ms(traffic.get(worker.name)?.queue_p50_ms)},
    {name: t("answers"), number: true, cell: worker => number(traffic.get(worker.name)?.answers ?? 0)},
  ], fleet.workers, t("noWorkers"))
}
