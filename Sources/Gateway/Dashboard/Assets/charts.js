// Charts as SVG: every one has a text alternative, and the numbers stand in a table beside it.
import {h, s} from "/dashboard/dom.js"
import {number} from "/dashboard/text.js"

export function scale(from, to, low, high) {
  const width = to - from || 1
  return value => low + (value - from) / width * (high - low)
}

// Round steps: 1, 2 or 5 times a power of ten.
export function ticks(low, high, count) {
  const raw = (high - low) / count || 1
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = [1, 2, 5, 10].map(n => n * power).find(n => n >= raw)
  const result = []
  for (let value = Math.ceil(low / step) * step; value <= high + step / 1e6; value += step) result.push(value + 0) // no -0
  return result
}

// Steps from zero to the first round number that is not below the highest value, and that number.
export function stepsOver(highest, count) {
  const some = ticks(0, highest, count)
  const step = some[1] ?? highest
  const ceiling = Math.ceil(highest / step - 1e-9) * step
  return [ticks(0, ceiling, Math.round(ceiling / step)), ceiling]
}

export function digitsFor(values) { return values.some(value => Math.abs(value - Math.round(value)) > 1e-9) ? 1 : 0 }

// Line with gaps where a value is missing.
export function path(points) {
  let text = ""
  let pen = "M"
  for (const [x, y] of points) {
    if (y === null || Number.isNaN(y)) { pen = "M"; continue }
    text += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`
    pen = "L"
  }
  return text
}

export function frame(width, height, label, ...children) {
  // On a narrow screen the chart scrolls; shrunk, its text could not be read.
  return h("div", {class: "chart-scroll"},
    s("svg", {class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label}, ...children))
}

export function axis(y, values, left, right, unit = "") {
  const digits = digitsFor(values)
  return values.map(value => s("g", {},
    s("line", {class: "grid", x1: left, x2: right, y1: y(value), y2: y(value)}),
    s("text", {x: left - 8, y: y(value) + 4, "text-anchor": "end"}, `${number(value, digits)}${unit}`)))
}

export function legend(...entries) {
  return h("ul", {class: "legend"}, entries.map(([shape, text]) => h("li", {}, s("svg", {viewBox: "0 0 18 10", "aria-hidden": "true"}, shape), text)))
}

export const lineMark = series => s("line", {class: `line ${series}`, x1: 0, x2: 18, y1: 5, y2: 5})
export const dotMark = series => s("circle", {class: series, cx: 9, cy: 5, r: 4})
export const crossMark = () => s("path", {class: "line sbad", d: "M5 1L13 9M13 1L5 9"})
export const failMark = () => s("path", {class: "line sbad", d: "M9 1l5 8h-10z"})
