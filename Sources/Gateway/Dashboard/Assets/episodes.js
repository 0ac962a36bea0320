// The list of episodes with its filters, and the timeline of one.
import {axis, crossMark, dotMark, failMark, frame, legend, lineMark, path, scale, stepsOver, ticks} from "/dashboard/charts.js"
import {h, s, table} from "/dashboard/dom.js"
import {outcomeBadge} from "/dashboard/fleet.js"
import {moment, ms, number, percent, seconds, t} from "/dashboard/text.js"

const outcomes = ["running", "success", "refused", "dropped", "wrong_box", "timeout", "failure", "aborted"]
const pageSize = 50

export async function episodesPage(load, query) {
  const wanted = new URLSearchParams([...query].filter(([, value]) => value !== ""))
  wanted.set("limit", pageSize)
  const answer = await load(`/dashboard/episodes?${wanted}`)
  const select = (name, label, values, text = value => value) => h("label", {}, label, h("select", {name},
    h("option", {value: ""}, t("all")), values.map(value => h("option", {value, selected: query.get(name) === value}, text(value)))))
  const form = h("form", {class: "filters", onsubmit: event => {
    event.preventDefault()
    const chosen = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""))
    location.hash = `#/episodes?${chosen}`
  }},
    select("robot", t("robot"), answer.robots), select("outcome", t("outcome"), outcomes, t),
    select("checkpoint", t("checkpoint"), answer.checkpoints),
    h("label", {}, t("taskContains"), h("input", {name: "task", value: query.get("task") ?? "", maxlength: 200})),
    h("button", {type: "submit"}, t("filter")))
  const last = answer.episodes.at(-1)
  const older = new URLSearchParams(query)
  if (last?.started_at) older.set("before", last.started_at)
  return [
    h("h1", {}, t("episodes")),
    h("section", {class: "panel"}, form),
    h("section", {class: "panel"},
      table(t("episodes"), [
        {name: t("started"), header: true, cell: e => h("a", {href: `#/episodes/${e.episode_id}`}, moment(e.started_at))},
        {name: t("robot"), cell: e => e.robot},
        {name: t("task"), cell: e => e.task ?? "–"},
        {name: t("outcome"), cell: e => outcomeBadge(e.outcome)},
        {name: t("duration"), number: true, cell: e => seconds(e.duration_s)},
        {name: t("chunks"), number: true, cell: e => number(e.chunks)},
        {name: t("starved"), number: true, cell: e => percent(e.starved_percent)},
        {name: t("checkpoint"), cell: e => e.checkpoint ?? "–"},
      ], answer.episodes, t("noEpisodes")),
      answer.episodes.length === pageSize && h("p", {}, h("a", {href: `#/episodes?${older}`}, t("older")))),
  ]
}

export async function episodePage(load, id) {
  const [answer, pictures] = await Promise.all([
    load(`/dashboard/episodes/${encodeURIComponent(id)}`), load(`/api/episodes/${encodeURIComponent(id)}/thumbnails`)])
  const back = h("a", {href: "#/episodes"}, `← ${t("back")}`)
  if (!answer) return [h("h1", {}, t("episodes")), h("p", {class: "problem"}, t("unknownEpisode")), back]
  const e = answer.episode
  const facts = [
    [t("robot"), e.robot], [t("checkpoint"), e.checkpoint ?? "–"], [t("started"), moment(e.started_at)],
    [t("duration"), seconds(e.duration_s)], [t("mode"), e.mode ?? "–"], [t("decidedBy"), e.decided_by ?? "–"],
    [t("chunks"), number(e.chunks)], [t("latencyPair"), `${number(e.latency_p50_ms)} / ${number(e.latency_p99_ms)} ${t("milliseconds")}`],
    [t("starved"), percent(e.starved_percent)], [t("limited"), number(e.limited_ticks)], [t("missed"), number(e.missed_cycles)],
    [t("failed"), number(e.failed_inferences)], [t("workerShare"), e.worker_share ?? "–"], [t("scene"), e.scene_seed ?? "–"],
    [t("reason"), e.reason || "–"],
  ]
  const records = [...answer.chunks, ...answer.samples, ...answer.events, ...(pictures ?? [])].map(record => Date.parse(record.at))
  return [
    h("div", {class: "head"}, h("h1", {}, e.task ?? e.episode_id), outcomeBadge(e.outcome), h("p", {class: "small"}, back)),
    h("section", {class: "panel"}, h("dl", {class: "facts"}, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))))),
    h("section", {class: "panel"}, h("h2", {}, t("timeline")),
      records.length === 0 ? h("p", {class: "empty"}, t("noRecords")) : timeline(answer, pictures ?? [], Math.min(...records), Math.max(...records))),
    h("section", {class: "panel"}, h("h2", {}, t("events")), table(t("events"), [
      {name: t("time"), header: true, cell: v => seconds((Date.parse(v.at) - Math.min(...records)) / 1000, 2)},
      {name: t("kind"), cell: v => v.kind}, {name: t("what"), cell: v => v.name}, {name: t("reason"), cell: v => v.message},
    ], answer.events, t("noEvents"))),
  ]
}

function timeline(answer, pictures, start, end) {
  const [width, left, right] = [1240, 56, 1232]
  const x = scale(0, Math.max(1, (end - start) / 1000), left, right)
  const at = record => x((Date.parse(record.at) - start) / 1000)
  const workers = [...new Set(answer.chunks.map(chunk => chunk.worker).filter(Boolean))].sort()
  const series = worker => `${workers.indexOf(worker) % 4 + 1}`
  return h("div", {},
    h("p", {class: "small dim"}, t("runwayTitle")), runwayChart(answer, at, width, left, right),
    h("p", {class: "small dim"}, t("chunkTitle")), chunkChart(answer, at, x, width, left, right, series, (end - start) / 1000),
    pictures.length > 0 && h("p", {class: "small dim"}, `${t("pictures")}: ${camerasOf(pictures).map(shortName).join(", ")}`), strips(pictures, start, end),
    legend(...workers.map(worker => [dotMark(`f${series(worker)}`), worker]), [lineMark("s3"), t("runway")], [crossMark(), t("late")], [failMark(), t("failedRequest")], [dotMark("f4"), t("event")]),
    h("details", {}, h("summary", {}, t("chunkTable")), table(t("chunkTable"), [
      {name: t("time"), header: true, cell: c => seconds((Date.parse(c.at) - start) / 1000, 2)},
      {name: t("worker"), cell: c => c.worker || "–"}, {name: t("status"), cell: c => c.message ? `${c.status}: ${c.message}` : c.status},
      {name: t("latency"), number: true, cell: c => ms(c.latency_ms)}, {name: t("roundTrip"), number: true, cell: c => ms(c.round_trip_ms)},
      {name: t("inferTime"), number: true, cell: c => ms(c.infer_ms)}, {name: t("runwayArrival"), number: true, cell: c => seconds(c.runway_at_arrival_s, 2)},
      {name: t("attempts"), number: true, cell: c => number(c.attempts)},
    ], answer.chunks, t("noRecords"))))
}

// What each camera saw, below the moment at which it saw it: one picture per slot of the time axis, none where none is.
const slots = 12

function strips(pictures, start, end) {
  return camerasOf(pictures).map(camera => h("ol", {class: "strip", "aria-label": t("cameraPictures", {camera: shortName(camera)})},
    Array.from({length: slots}, (_, slot) => {
      const [from, to] = [slot, slot + 1].map(edge => start + (end - start || 1) * edge / slots)
      const seen = pictures.find(p => p.camera === camera && Date.parse(p.at) >= from && (Date.parse(p.at) < to || slot === slots - 1))
      if (!seen) return h("li", {"aria-hidden": "true"})
      const when = seconds((Date.parse(seen.at) - start) / 1000)
      return h("li", {}, h("a", {href: seen.url, target: "_blank", rel: "noopener"},
        h("img", {src: seen.url, loading: "lazy", alt: `${shortName(camera)}, ${when}`}), h("span", {class: "small dim"}, when)))
    })))
}

function camerasOf(pictures) { return [...new Set(pictures.map(picture => picture.camera))].sort() }

function shortName(camera) { return camera.split(".").at(-1).replace(/^cam_/, "") }

// What the control loop had left, second by second; without samples, what every chunk found at its arrival.
function runwayChart(answer, at, width, left, right) {
  const measured = answer.samples.length > 0
    ? answer.samples.map(sample => [at(sample), sample.runway_s, sample.min_runway_s])
    : answer.chunks.filter(chunk => chunk.status === "OK").map(chunk => [at(chunk), chunk.runway_at_arrival_s, chunk.runway_at_arrival_s])
  const values = measured.flatMap(([, value, low]) => [value, low])
  const [low, high] = [Math.min(0, ...values), Math.max(0.5, ...values)]
  const y = scale(low, high * 1.05, 150, 10)
  return frame(width, 160, t("runwayChart", {low: number(Math.min(...values), 2)}),
    axis(y, ticks(low, high * 1.05, 4), left, right),
    low < 0 && s("rect", {class: "shade", x: left, width: right - left, y: y(0), height: y(low) - y(0)}),
    s("line", {class: "zero", x1: left, x2: right, y1: y(0), y2: y(0)}),
    s("path", {class: "line s3", d: path(measured.map(([x, value]) => [x, y(value)]))}),
    answer.chunks.filter(c => c.status === "OK" && c.runway_at_arrival_s < 0).map(c => s("path", {class: "line sbad", d: `M${at(c) - 4} ${y(0) - 4}l8 8m0 -8l-8 8`})),
    answer.events.map(event => s("g", {}, s("line", {class: "zero", x1: at(event), x2: at(event), y1: 6, y2: 150}),
      s("circle", {class: "f4", cx: at(event), cy: 6, r: 4}, s("title", {}, `${event.name}: ${event.message}`)))))
}

function chunkChart(answer, at, x, width, left, right, series, duration) {
  const high = Math.max(50, ...answer.chunks.map(chunk => chunk.latency_ms))
  const [steps, ceiling] = stepsOver(high, 3)
  const y = scale(0, ceiling, 150, 10)
  // Many chunks: small dots without stems, so that they do not run into a band.
  const radius = answer.chunks.length > 150 ? 2.5 : 4
  return frame(width, 180, t("chunkChart", {n: number(answer.chunks.length), max: number(high)}),
    axis(y, steps, left, right),
    ticks(0, duration, 8).map(second => s("text", {x: x(second), y: 172, "text-anchor": second === 0 ? "start" : "middle"}, `${number(second)} ${t("seconds")}`)),
    answer.chunks.map(c => c.status === "OK"
      ? s("g", {}, radius > 3 && s("line", {class: `line s${series(c.worker)}`, x1: at(c), x2: at(c), y1: 150, y2: y(c.latency_ms), opacity: 0.45}),
        s("circle", {class: `f${series(c.worker)}`, cx: at(c), cy: y(c.latency_ms), r: radius}, s("title", {}, `${c.worker}: ${number(c.latency_ms)} ms`)))
      : s("path", {class: "line sbad", d: `M${at(c)} 142l5 8h-10z`}, s("title", {}, `${c.status} ${c.message}`))))
}
