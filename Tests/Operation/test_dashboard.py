"""The dashboard in a real headless browser, against a real gateway with a real database.

GROOT_SCREENSHOTS=DIR keeps a picture of every page.
"""

import json
import os
import pathlib
import subprocess
import unittest
import urllib.error
import urllib.request

from common import BINARIES, ROOT, Daemon, eventually, free_ports, scratch
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

RUNNING = "11111111-1111-4111-8111-111111111111"


class DashboardTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = scratch("groot-dashboard-")
        cls.addClassCleanup(cls.folder.cleanup)
        listen, cls.admin, worker, worker_admin, missing = free_ports(5)
        cls.base = f"http://127.0.0.1:{cls.admin}"
        state = pathlib.Path(cls.folder.name) / "gateway"
        cls.gateway = Daemon("gateway", [
            BINARIES / "groot-gateway", "--workers", f"127.0.0.1:{worker},127.0.0.1:{missing}", "--listen", f"127.0.0.1:{listen}",
            "--admin", f"127.0.0.1:{cls.admin}", "--state-dir", state,
        ], cls.folder.name)
        cls.addClassCleanup(cls.gateway.stop)
        cls.worker = Daemon("w1", [
            BINARIES / "groot-worker", "--name", "w1", "--checkpoint", ROOT / "policies/groot-mini", "--listen", f"127.0.0.1:{worker}",
            "--admin", f"127.0.0.1:{worker_admin}",
        ], cls.folder.name)
        cls.addClassCleanup(cls.worker.stop)
        eventually("the gateway is ready", lambda: cls.get("/readyz") and cls.get("/readyz/store"), 120, cls.gateway.tail)
        load = subprocess.run(
            [state / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", ROOT / "Tests/Operation/dashboard_data.sql"],
            text=True, capture_output=True,
        )
        if load.returncode:
            raise AssertionError(load.stderr)
        options = Options()
        options.binary_location = "/usr/bin/chromium"
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1400,1250", "--lang=en-US"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        cls.browser = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        cls.addClassCleanup(cls.browser.quit)
        cls.record_pictures(state / "psql")

    @classmethod
    def record_pictures(cls, psql):
        """Two cameras of the running episode, every four seconds, drawn by the browser: real JPEG files."""
        cls.browser.get(cls.base + "/dashboard")
        rows = []
        for number in range(60):
            for camera in ("cam_head", "cam_chest"):
                url = cls.browser.execute_script("""
                    const canvas = Object.assign(document.createElement("canvas"), {width: 96, height: 72}), c = canvas.getContext("2d")
                    c.fillStyle = arguments[1] === "cam_head" ? "#6b7680" : "#8a7d6a"; c.fillRect(0, 0, 96, 72)
                    c.fillStyle = "#2e8b57"; c.fillRect(10 + arguments[0], 24, 28, 28)
                    return canvas.toDataURL("image/jpeg", 0.8)
                """, number % 50, camera)
                rows.append(f"('r1', 'b1', {len(rows)}, '{RUNNING}', 'observation.images.{camera}', "
                            f"(SELECT started_at FROM episodes WHERE episode_id = '{RUNNING}') + interval '{4 * number} seconds', decode('{url.split(',')[1]}', 'base64'))")
        insert = "INSERT INTO thumbnails (robot, boot, sequence, episode_id, camera, captured_at, jpeg) VALUES " + ", ".join(rows)
        subprocess.run([psql, "-X", "-q", "-v", "ON_ERROR_STOP=1"], input=insert, text=True, check=True)

    @classmethod
    def get(cls, path):
        with urllib.request.urlopen(cls.base + path, timeout=5) as answer:
            return answer.read().decode()

    def setUp(self):
        self.browser.get(self.base + "/dashboard")
        self.browser.execute_script("localStorage.setItem('language', 'en')")
        self.browser.refresh()
        self.browser.get_log("browser")

    def tearDown(self):
        problems = [entry["message"] for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE"]
        self.assertEqual(problems, [], "the browser's console")

    def open(self, page, wait_for):
        address = f"{self.base}/dashboard#/{page}"
        if self.browser.current_url != address:
            # What is waited for has to be the new page's.
            self.browser.execute_script("document.querySelector('main')?.replaceChildren()")
        self.browser.get(address)
        return eventually(f"{wait_for} on {page}", lambda: self.browser.find_elements(By.CSS_SELECTOR, wait_for), 15)

    def main(self):
        # In one step: the page renews itself every second.
        return self.browser.execute_script("return document.querySelector('main').innerText")

    def texts(self, selector):
        return self.browser.execute_script("return [...document.querySelectorAll(arguments[0])].map(e => e.innerText)", selector)

    def picture(self, name, scheme="light"):
        folder = os.environ.get("GROOT_SCREENSHOTS")
        if folder:
            self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
            pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
            self.browser.save_screenshot(f"{folder}/{name}-{scheme}.png")
            self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    def test_the_fleet_at_a_glance_is_live(self):
        self.open("fleet", "svg.chart path.s1")
        text = eventually("the worker", lambda: "w1" in self.main() and self.main())
        self.assertIn("Robots asking\n2of 3 known", text.replace("2 of 3", "2of 3"))
        self.assertIn("connection refused", text, "a worker that is missing says why")
        rows = self.texts("main > section:nth-of-type(2) tbody tr")
        self.assertEqual([row.split()[0] for row in rows], ["r1", "r2", "r3"])
        self.assertIn("running", rows[0])
        self.assertRegex(rows[0], r"\d\.\d\d s")
        self.assertIn("not lately", rows[2])
        before = self.texts(".head p")
        eventually("new figures without a reload", lambda: self.texts(".head p") != before)
        self.assertEqual(self.browser.find_element(By.ID, "link").text, "live")
        for scheme in ("light", "dark"):
            self.picture("fleet", scheme)

    def test_episodes_are_filtered_and_paged(self):
        self.open("episodes", "tbody tr")
        self.assertEqual(len(self.browser.find_elements(By.CSS_SELECTOR, "tbody tr")), 50)
        self.picture("episodes")
        self.browser.find_element(By.LINK_TEXT, "Older episodes").click()
        eventually("the second page", lambda: len(self.browser.find_elements(By.CSS_SELECTOR, "tbody tr")) == 11)
        self.open("episodes", "tbody tr")
        Select(self.browser.find_element(By.NAME, "robot")).select_by_value("r2")
        Select(self.browser.find_element(By.NAME, "outcome")).select_by_value("success")
        self.browser.find_element(By.NAME, "task").send_keys("BLUE" + Keys.ENTER)
        eventually("the filter in the address", lambda: "robot=r2" in self.browser.current_url)
        expected = int(self.sql("SELECT count(*) FROM episodes WHERE robot = 'r2' AND outcome = 'success' AND task LIKE '%blue%'"))
        eventually(f"{expected} episodes", lambda: len(self.browser.find_elements(By.CSS_SELECTOR, "tbody tr")) == expected)
        self.assertGreater(expected, 0)
        # The filter survives a reload: the address is the state.
        self.browser.refresh()
        eventually("the same after a reload", lambda: len(self.browser.find_elements(By.CSS_SELECTOR, "tbody tr")) == expected)
        self.assertEqual(Select(self.browser.find_element(By.NAME, "robot")).first_selected_option.text, "r2")

    def test_the_timeline_of_one_episode(self):
        self.open(f"episodes/{RUNNING}", "svg.chart circle")
        text = self.main()
        self.assertIn("Depalletize the green box", text)
        answered = int(self.sql(f"SELECT count(*) FROM inferences WHERE episode_id = '{RUNNING}' AND status = 'OK'"))
        dots = self.browser.find_elements(By.XPATH, "(//*[name()='svg'][contains(@class,'chart')])[2]//*[name()='circle']")
        self.assertEqual(len(dots), answered)
        low = self.sql(f"SELECT round(min(runway_at_arrival_ns) / 1e9, 2) FROM inferences WHERE episode_id = '{RUNNING}' AND status = 'OK'")
        label = self.browser.find_element(By.CSS_SELECTOR, "svg.chart").get_attribute("aria-label")
        self.assertIn(low, label)
        self.assertIn("gateway_lost", text)
        # What the cameras saw, in the order of the time axis, and really pictures.
        strips = self.browser.find_elements(By.CSS_SELECTOR, "ol.strip")
        self.assertEqual([strip.get_attribute("aria-label") for strip in strips],
                         ["Pictures of the camera chest", "Pictures of the camera head"])
        pictures = strips[0].find_elements(By.TAG_NAME, "img")
        self.assertEqual(len(pictures), 12, "one per slot of the axis")
        times = [float(picture.get_attribute("alt").removeprefix("chest, ").removesuffix(" s")) for picture in pictures]
        self.assertEqual(times, sorted(times))
        eventually("the pictures", lambda: self.browser.execute_script(
            "return [...document.querySelectorAll('ol.strip img')].every(i => (i.loading = 'eager', i.complete && i.naturalWidth === 96))"))
        summary = self.browser.find_element(By.TAG_NAME, "summary")
        summary.click()
        self.assertIn("UNAVAILABLE: the worker went away", self.main())
        summary.click()
        self.picture("episode")
        self.picture("episode", "dark")
        self.open("episodes/22222222-2222-4222-8222-222222222222", ".problem")
        self.browser.get_log("browser")  # the 404 of the number that does not exist

    def test_checkpoints_with_their_intervals(self):
        self.open("checkpoints", "svg.chart circle")
        text = self.main()
        rows = self.sql(
            "SELECT success_percent || ' %|' || low_percent || ' – ' || high_percent || ' %' FROM checkpoint_comparison ORDER BY task"
        ).splitlines()
        self.assertEqual(len(rows), 5)
        for row in rows:
            for figure in row.split("|"):
                self.assertIn(figure, text)
        self.assertIn("more than chance", text)
        for scheme in ("light", "dark"):
            self.picture("checkpoints", scheme)

    def test_chinese_everywhere(self):
        self.open("fleet", "tbody tr")
        self.browser.find_element(By.ID, "language").click()
        self.assertEqual(self.browser.find_element(By.TAG_NAME, "html").get_attribute("lang"), "zh")
        self.assertIn("推理节点", self.main())
        self.assertIn("剩余动作", self.main())
        self.picture("fleet-zh")
        self.browser.refresh()
        eventually("Chinese after a reload", lambda: "机器人" in self.main())
        for page in ("episodes", "checkpoints"):
            self.open(page, "tbody tr")
            self.picture(f"{page}-zh")
            for word in ("Robot", "Outcome", "Success", "Started"):
                self.assertNotIn(word, self.main())

    def test_keyboard_and_screen_reader(self):
        self.browser.get(f"{self.base}/dashboard?fresh#/checkpoints")
        eventually("the page", lambda: self.browser.find_elements(By.CSS_SELECTOR, "main table"))
        order = []
        for _ in range(5):
            ActionChains(self.browser).send_keys(Keys.TAB).perform()
            order.append(self.browser.switch_to.active_element.get_attribute("textContent").strip())
        self.assertEqual(order[:5], ["Skip to content", "Fleet", "Episodes", "Checkpoints", "中文"])
        self.browser.find_element(By.LINK_TEXT, "Episodes").send_keys(Keys.ENTER)
        eventually("the page by keyboard", lambda: self.browser.find_elements(By.NAME, "outcome"))
        self.assertEqual(self.browser.switch_to.active_element.tag_name, "main", "the focus goes with the page")
        for page in ("fleet", "episodes", "checkpoints", f"episodes/{RUNNING}"):
            self.open(page, "table")
            with self.subTest(page=page):
                problems = self.browser.execute_script("""
                    const problems = []
                    for (const chart of document.querySelectorAll("svg.chart"))
                        if (chart.getAttribute("role") !== "img" || !chart.getAttribute("aria-label")) problems.push("chart without a text")
                    for (const table of document.querySelectorAll("table")) {
                        if (!table.caption?.textContent) problems.push("table without a caption")
                        if ([...table.querySelectorAll("th")].some(th => !th.scope)) problems.push("header without a scope")
                    }
                    for (const field of document.querySelectorAll("input, select"))
                        if (!field.labels.length) problems.push("field without a label")
                    if (document.querySelectorAll("h1").length !== 1) problems.push("not one h1")
                    if (!document.querySelector('nav a[aria-current="page"]')) problems.push("no current page")
                    return problems
                """)
                self.assertEqual(problems, [])

    def test_what_a_screen_reader_is_told(self):
        """The browser's own accessibility tree: roles and names, not what the markup meant to say."""
        def named(role):
            nodes = self.browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
            return [node.get("name", {}).get("value", "") for node in nodes
                    if not node["ignored"] and node.get("role", {}).get("value") == role]

        self.browser.execute_cdp_cmd("Accessibility.enable", {})
        self.addCleanup(self.browser.execute_cdp_cmd, "Accessibility.disable", {})
        self.open("fleet", "svg.chart path.s1")
        eventually("landmarks", lambda: len(named("main")) == 1 and named("navigation") == ["Pages"] and len(named("banner")) == 1)
        self.assertEqual(named("status"), [""], "one live region, which speaks when the link changes")
        self.assertIn("Robots", named("table"))
        [chart] = named("img") or named("image")
        self.assertRegex(chart, r"Line chart of latency: median now \d+ ms")
        self.assertIn("Too late", named("columnheader"))
        self.assertIn("r1", named("rowheader"))
        self.open("episodes", "select")
        self.assertEqual(named("combobox"), ["Robot", "Outcome", "Checkpoint"])
        self.assertEqual(named("textbox"), ["Task contains"])
        self.assertIn("Show", named("button"))

    def test_a_narrow_screen_scrolls_tables_not_the_page(self):
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                     {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True})
        self.addCleanup(self.browser.execute_cdp_cmd, "Emulation.clearDeviceMetricsOverride", {})
        for page in ("fleet", "episodes", "checkpoints", f"episodes/{RUNNING}"):
            self.open(page, "main table, main .chart")
            with self.subTest(page=page):
                self.assertLessEqual(self.browser.execute_script("return document.documentElement.scrollWidth"), 390)
                self.picture("narrow-" + page.split("/")[0] + ("-one" if "/" in page else ""))

    def test_text_is_readable_in_light_and_dark(self):
        """WCAG AA: 4.5 to 1 for every text against what is behind it."""
        for scheme in ("light", "dark"):
            self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
            self.open("fleet", "tbody tr")
            worst = self.browser.execute_script("""
                const parse = text => text.match(/[\\d.]+/g).map(Number)
                const light = c => { const l = c.slice(0, 3).map(v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4 }); return 0.2126 * l[0] + 0.7152 * l[1] + 0.0722 * l[2] }
                const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] === 1) return c } return [255, 255, 255] }
                let worst = [99, ""]
                for (const e of document.querySelectorAll("h1, h2, p, th, td, dt, dd, .badge, small, label, button")) {
                    if (!e.textContent.trim() || e.matches(".skip")) continue
                    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))]
                    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
                    if (ratio < worst[0]) worst = [ratio, e.outerHTML.slice(0, 80)]
                }
                return worst
            """)
            self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
            self.assertGreaterEqual(worst[0], 4.5, f"{scheme}: {worst[1]}")

    def test_it_only_shows(self):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            for path in ("/dashboard", "/dashboard/episodes", f"/dashboard/episodes/{RUNNING}", "/dashboard/comparison"):
                request = urllib.request.Request(self.base + path, method=method, data=b"{}")
                with self.assertRaises(urllib.error.HTTPError) as refusal:
                    urllib.request.urlopen(request, timeout=5)
                self.assertIn(refusal.exception.code, (404, 405))

    def test_orders_do_not_come_from_web_pages(self):
        for path in ("/drain", "/workers/w1/drain", "/log-level/debug"):
            request = urllib.request.Request(self.base + path, method="POST", data=b"", headers={"Origin": "http://elsewhere"})
            with self.subTest(path=path), self.assertRaises(urllib.error.HTTPError) as refusal:
                urllib.request.urlopen(request, timeout=5)
            self.assertEqual(refusal.exception.code, 403)
        self.assertIsNone(self.gateway.process.poll())

    def test_questions_that_make_no_sense(self):
        for path, code, word in (
            ("/dashboard/episodes?limit=0", 400, "limit"),
            ("/dashboard/episodes?before=x", 400, "before"),
            ("/dashboard/episodes?colour=green", 400, "colour"),
            ("/dashboard/episodes/not-a-number", 404, "episode"),
            ("/dashboard/../etc/passwd", 404, ""),
            ("/dashboard/nothing.js", 404, "no such file"),
        ):
            with self.subTest(path=path), self.assertRaises(urllib.error.HTTPError) as refusal:
                urllib.request.urlopen(self.base + path, timeout=5)
            self.assertEqual(refusal.exception.code, code)
            self.assertIn(word, refusal.exception.read().decode())
        # Quotes are text, not SQL.
        answer = json.loads(self.get("/dashboard/episodes?robot=r1'%20OR%20'1'='1"))
        self.assertEqual(answer["episodes"], [])

    def test_markup_in_a_task_stays_text(self):
        self.open("episodes/00000000-0000-4000-8000-000000000002", "dl.facts")
        self.assertIn("<b>bold</b>", self.main())
        self.assertIn("<script>document.title=2</script>", self.main())
        self.assertEqual(self.browser.find_elements(By.CSS_SELECTOR, "main img, main script, main b b"), [])
        self.assertNotIn(self.browser.title, ("1", "2"))

    def test_headers_keep_strangers_out(self):
        with urllib.request.urlopen(self.base + "/dashboard", timeout=5) as answer:
            self.assertIn("default-src 'none'", answer.headers["Content-Security-Policy"])
            self.assertIn("frame-ancestors 'none'", answer.headers["Content-Security-Policy"])
            self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
            self.assertNotIn("Access-Control-Allow-Origin", answer.headers)

    def sql(self, query):
        psql = pathlib.Path(self.folder.name) / "gateway/psql"
        return subprocess.run([psql, "-X", "-At", "-c", query], check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


if __name__ == "__main__":
    unittest.main()
