// Which page is shown, the live stream, the language. Pages are functions that fill <main>.
import {comparisonPage} from "/dashboard/checkpoints.js"
import {h} from "/dashboard/dom.js"
import {episodePage, episodesPage} from "/dashboard/episodes.js"
import {fleetPage} from "/dashboard/fleet.js"
import {currentLanguage, setLanguage, t} from "/dashboard/text.js"

const main = document.getElementById("main")
const link = document.getElementById("link")
const language = document.getElementById("language")
let latest = null
let connection = "connecting"
let shown = 0

function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?")
  const [page, id] = path.split("/")
  return {page: ["episodes", "checkpoints"].includes(page) ? page : "fleet", id, query: new URLSearchParams(query ?? "")}
}

async function show(moveFocus = false) {
  const ticket = ++shown
  const {page, id, query} = route()
  for (const a of document.querySelectorAll("nav a")) {
    if (a.dataset.page === page) a.setAttribute("aria-current", "page")
    else a.removeAttribute("aria-current")
  }
  let content
  try {
    if (page === "fleet") content = fleetPage(latest)
    else if (page === "checkpoints") content = await comparisonPage(load)
    else if (id) content = await episodePage(load, id)
    else content = await episodesPage(load, query)
  } catch (error) {
    content = [h("h1", {}, t(page)), h("p", {class: "problem", role: "alert"}, t("failedToLoad", {reason: error.message}))]
  }
  if (ticket !== shown) return
  const title = content.find(node => node.querySelector?.("h1") ?? node.tagName === "H1")
  document.title = `${(title?.querySelector?.("h1") ?? title)?.textContent ?? ""} · Groot Fleet`
  main.replaceChildren(...content)
  if (moveFocus) {
    main.focus({preventScroll: true})
    scrollTo(0, 0)
  }
}

async function load(path) {
  const response = await fetch(path, {headers: {accept: "application/json"}})
  if (response.status === 404) return null
  if (!response.ok) throw new Error((await response.text()).trim() || `HTTP ${response.status}`)
  return response.json()
}

function localise() {
  document.documentElement.lang = currentLanguage()
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = t(element.dataset.text)
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", t(element.dataset.label))
  language.textContent = currentLanguage() === "en" ? "中文" : "English"
  language.lang = currentLanguage() === "en" ? "zh" : "en"
  sayConnection()
}

function connectionIs(state) {
  if (state === connection) return
  connection = state
  sayConnection()
}

// A status for screen readers: said when it changes, not every second.
function sayConnection() {
  link.textContent = t(connection)
  link.className = `link ${connection}`
}

const stream = new EventSource("/dashboard/live")
stream.addEventListener("fleet", event => {
  latest = JSON.parse(event.data)
  connectionIs("live")
  if (route().page === "fleet") refresh()
})
stream.addEventListener("error", () => connectionIs("lost"))

// New figures must not take the focus or the scroll position from whoever reads.
function refresh() {
  const scrollers = () => main.querySelectorAll(".scroll, .chart-scroll")
  const scrolled = [...scrollers()].map(element => element.scrollLeft)
  const focused = document.activeElement?.closest?.("main a, main .scroll")
  const mark = focused?.getAttribute("href") ?? focused?.getAttribute("aria-label")
  main.replaceChildren(...fleetPage(latest))
  scrollers().forEach((element, index) => { element.scrollLeft = scrolled[index] ?? 0 })
  if (mark) [...main.querySelectorAll("a, .scroll")].find(e => (e.getAttribute("href") ?? e.getAttribute("aria-label")) === mark)?.focus()
}

language.addEventListener("click", () => {
  setLanguage(currentLanguage() === "en" ? "zh" : "en")
  localise()
  show()
})
addEventListener("hashchange", () => show(true))
localise()
show()
