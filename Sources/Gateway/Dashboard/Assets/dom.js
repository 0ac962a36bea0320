// Elements without a framework: h for HTML, s for SVG. Text is always set as text, never parsed as markup.
export function h(tag, attributes = {}, ...children) { return fill(document.createElement(tag), attributes, children) }

export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children)
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value)
    else element.setAttribute(name, value === true ? "" : value)
  }
  element.append(...children.flat(4).filter(child => child !== null && child !== undefined && child !== false))
  return element
}

// Column: {name, number, cell(row) -> node or text, header: row header}.
export function table(caption, columns, rows, empty) {
  if (rows.length === 0) return h("p", {class: "empty"}, empty)
  return h("div", {class: "scroll", tabindex: "0", role: "region", "aria-label": caption},
    h("table", {},
      h("caption", {}, caption),
      h("thead", {}, h("tr", {}, columns.map(c => h("th", {scope: "col", class: c.number ? "number" : null}, c.name)))),
      h("tbody", {}, rows.map(row => h("tr", {}, columns.map(c => c.header
        ? h("th", {scope: "row"}, c.cell(row))
        : h("td", {class: c.number ? "number" : c.class ?? null}, c.cell(row))))))))
}

export function badge(text, kind = "") { return h("span", {class: `badge ${kind}`}, text) }
