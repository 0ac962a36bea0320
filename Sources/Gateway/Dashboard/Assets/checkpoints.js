// Success by checkpoint: which one is better, and when to believe it.
import {frame, scale} from "/dashboard/charts.js"
import {badge, h, s, table} from "/dashboard/dom.js"
import {number, percent, seconds, t} from "/dashboard/text.js"

export async function comparisonPage(load) {
  const rows = await load("/dashboard/comparison")
  const tasks = [...new Set(rows.map(row => row.task))]
  return [
    h("div", {class: "head"}, h("h1", {}, t("compareTitle")), h("p", {class: "small"}, t("compareNote"))),
    ...(tasks.length === 0 ? [h("p", {class: "empty"}, t("noComparison"))] : tasks.map(task => {
      const mine = rows.filter(row => row.task === task)
      return h("section", {class: "panel"}, h("h2", {}, task), plot(task, mine), comparison(mine))
    })),
  ]
}

function plot(task, rows) {
  const [width, left, right, step] = [1240, 260, 1200, 34]
  const x = scale(0, 100, left, right)
  const bottom = rows.length * step + 8
  return frame(width, bottom + 26, t("compareChart", {task}),
    [0, 25, 50, 75, 100].map(value => s("g", {},
      s("line", {class: "grid", x1: x(value), x2: x(value), y1: 4, y2: bottom}),
      s("text", {x: x(value), y: bottom + 18, "text-anchor": "middle"}, `${value} %`))),
    rows.map((row, index) => {
      const y = index * step + step / 2 + 4
      return s("g", {},
        s("text", {class: "strong", x: left - 16, y: y + 5, "text-anchor": "end"}, row.checkpoint ?? "–"),
        s("path", {class: "line s1", d: `M${x(row.low_percent)} ${y - 6}v12m0 -6H${x(row.high_percent)}m0 -6v12`}),
        s("circle", {class: "f1", cx: x(row.success_percent), cy: y, r: 6},
          s("title", {}, `${row.success_percent} % (${row.low_percent}–${row.high_percent})`)))
    }))
}

function comparison(rows) {
  const reference = rows.find(row => row.reference)?.reference
  return table(t("compareTitle"), [
    {name: t("checkpoint"), header: true, cell: row => row.checkpoint ?? "–"},
    {name: t("episodesCount"), number: true, cell: row => number(row.episodes)},
    {name: t("successRate"), number: true, cell: row => percent(row.success_percent)},
    {name: t("interval"), number: true, cell: row => `${number(row.low_percent, 1)} – ${number(row.high_percent, 1)} %`},
    {name: reference ? t("differenceTo", {name: reference}) : t("difference"), cell: row => row.difference_points === null
      ? h("span", {class: "dim"}, reference ? t("reference") : "–")
      : h("span", {}, `${row.difference_points > 0 ? "+" : ""}${number(row.difference_points, 1)} ${t("points")} `,
        row.more_than_chance ? badge(t("beyondChance"), row.difference_points > 0 ? "good" : "bad") : badge(t("withinChance")))},
    {name: t("duration"), number: true, cell: row => seconds(row.mean_success_s)},
    {name: t("starved"), number: true, cell: row => percent(row.starved_percent)},
  ], rows, t("noComparison"))
}
