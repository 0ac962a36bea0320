"""systemd units, accounts, Kubernetes manifests, Prometheus rules and Grafana's JSON: valid, hardened, and in step."""

import json
import pathlib
import re
import shutil
import subprocess
import unittest

import yaml
from common import BINARIES, ROOT, scratch

UNITS = sorted((ROOT / "deploy/systemd").glob("*.service"))
# `systemd-analyze security`: 0 is a sealed box, 10 an open one. Measured when written plus 0.2; only ever lowered.
CEILING = {
    "groot-gateway.service": 1.7,
    "groot-worker@.service": 2.1,
    "groot-agent@.service": 1.8,
    "groot-sim@.service": 1.6,
}


class UnitTests(unittest.TestCase):
    def test_every_unit_is_understood_by_systemd(self):
        with scratch("groot-units-") as folder:
            root = pathlib.Path(folder)
            for unit in UNITS:
                # Instances need a name, executables and accounts a place: the unit itself is what is verified.
                text = unit.read_text()
                text = re.sub(r"/usr/bin/groot-\w+", "/bin/true", text)
                name = unit.name.replace("@.", "@r1.")
                (root / unit.name).write_text(text)
                check = subprocess.run(
                    ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(root / name if "@" not in unit.name else root / unit.name)],
                    text=True, capture_output=True,
                )
                with self.subTest(unit=unit.name):
                    complaints = [line for line in check.stderr.splitlines() if unit.name in line or "Unknown" in line]
                    self.assertEqual((check.returncode, complaints), (0, []), check.stderr)

    def test_no_unit_is_more_exposed_than_recorded(self):
        for unit in UNITS:
            with self.subTest(unit=unit.name):
                report = subprocess.run(
                    ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
                    text=True, capture_output=True, check=True,
                ).stdout
                score = float(re.search(r"Overall exposure level.*: ([\d.]+)", report)[1])
                self.assertLessEqual(score, CEILING[unit.name])

    def test_units_wait_longer_than_the_drain_budgets(self):
        waits = {unit.name: int(re.search(r"^TimeoutStopSec=(\d+)$", unit.read_text(), re.M)[1]) for unit in UNITS}
        self.assertGreater(waits["groot-gateway.service"], 10)
        self.assertGreater(waits["groot-worker@.service"], 10)
        self.assertGreaterEqual(waits["groot-agent@.service"], 30)

    def test_the_agent_may_run_in_real_time_and_is_never_restarted(self):
        text = (ROOT / "deploy/systemd/groot-agent@.service").read_text()
        self.assertIn("\nLimitRTPRIO=80\n", text)
        self.assertIn("\nLimitMEMLOCK=infinity\n", text)
        self.assertIn("\nRestart=no\n", text)
        self.assertNotIn("\nRestrictRealtime=yes", text)

    def test_flags_in_the_example_configurations_exist(self):
        for role in ("gateway", "worker", "agent", "sim"):
            command = {"gateway": "serve", "worker": "serve", "agent": "run", "sim": "run"}[role]
            help_text = subprocess.run(
                [BINARIES / f"groot-{role}", command, "--help"], text=True, capture_output=True, check=True
            ).stdout
            text = (ROOT / f"deploy/config/{role}.env").read_text()
            for flag in set(re.findall(r"--[a-z-]+[a-z]", text)) - {"--help"}:
                with self.subTest(role=role, flag=flag):
                    self.assertIn(flag, help_text)

    def test_commands_in_the_pages_exist(self):
        """Every command of ours that a page of docs/operations names, with its flags, in either language."""
        known = {}

        def help_of(words):
            if words not in known:
                run = subprocess.run([BINARIES / words[0], *words[1:], "--help"], text=True, capture_output=True)
                known[words] = run.stdout if run.returncode == 0 else ""
            return known[words]

        found = 0
        for page in sorted((ROOT / "docs/operations").glob("*.md")):
            text = page.read_text()
            spans = re.findall(r"`([^`\n]+)`", text) + [line for block in re.findall(r"```(?:sh)?\n(.*?)```", text, re.S) for line in block.splitlines()]
            for span in spans:
                command = re.match(r"(groot-(?:gateway|worker|agent|sim))((?: [a-z][a-z-]*)*)(?= |$)", span.strip())
                if not command or "@" in span.split(" ")[0]:
                    continue
                words = (command[1], *command[2].split())
                # Arguments look like subcommands: as many words as are commands.
                while len(words) > 1 and f" {words[-1]} " not in re.sub(r"\s", " ", help_of(words[:-1]).partition("SUBCOMMANDS:")[2]):
                    words = words[:-1]
                if len(words) == 1 and command[2]:
                    serve = {"groot-agent": "run", "groot-sim": "run"}.get(words[0], "serve")
                    words = (words[0], serve)
                shown = help_of(words) + (help_of((words[0], {"groot-agent": "run", "groot-sim": "run"}.get(words[0], "serve"))) if len(words) == 1 else "")
                for flag in re.findall(r"(?<= )--[a-z][a-z-]*", span):
                    found += 1
                    with self.subTest(page=page.name, command=" ".join(words), flag=flag):
                        self.assertRegex(shown + "--help --set ", re.escape(flag) + r"\b")
                self.assertTrue(shown, f"{page.name}: {span}")
        self.assertGreater(found, 10)

    def test_accounts_and_directories_are_made(self):
        with scratch("groot-accounts-") as folder:
            (pathlib.Path(folder) / "etc").mkdir()
            for role in ("gateway", "worker", "agent", "sim"):
                for kind, command in (("sysusers", "systemd-sysusers"), ("tmpfiles", "systemd-tmpfiles")):
                    source = ROOT / f"deploy/{kind}.d/groot-{role}.conf"
                    target = pathlib.Path(folder) / f"usr/lib/{kind}.d/{source.name}"
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(source, target)
                    # Ownership cannot be given away by an ordinary user; the syntax is checked all the same.
                    run = subprocess.run(
                        [command, f"--root={folder}", *(["--create"] if kind == "tmpfiles" else []), source.name],
                        text=True, capture_output=True,
                    )
                    self.assertNotRegex(run.stderr, r"(?i)unknown|invalid|bad ", source.name)
                self.assertIn(f"groot-{role}:", (pathlib.Path(folder) / "etc/passwd").read_text())


class KubernetesTests(unittest.TestCase):
    def setUp(self):
        self.objects = list(yaml.safe_load_all((ROOT / "deploy/kubernetes/groot-fleet.yaml").read_text()))

    def test_manifests_fit_the_schema_of_a_cluster(self):
        import jsonschema
        from kubernetes_validate import utils
        from referencing import Registry, Resource

        # The package's own function reads and crawls all definitions for every document; once is enough.
        folder = "kubernetes-json-schema/v1.36.0-local-strict"
        definitions = Resource.from_contents(utils.schema_contents(f"{folder}/_definitions.json", "1.36"))
        registry = (definitions @ Registry()).crawl()
        for document in self.objects:
            with self.subTest(kind=document["kind"], name=document["metadata"]["name"]):
                version = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", document["apiVersion"])
                schema = utils.schema_contents(f"{folder}/{document['kind'].lower()}-{version}.json", "1.36")
                validator = jsonschema.Draft202012Validator(schema, registry=Resource.from_contents(schema) @ registry)
                self.assertEqual([f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)], [])

    def test_selectors_ports_and_references_meet(self):
        by_kind = {}
        for document in self.objects:
            by_kind.setdefault(document["kind"], {})[document["metadata"]["name"]] = document
        pods = {}
        for kind in ("Deployment", "StatefulSet"):
            for document in by_kind[kind].values():
                template = document["spec"]["template"]
                self.assertEqual(document["spec"]["selector"]["matchLabels"], template["metadata"]["labels"])
                pods[template["metadata"]["labels"]["app"]] = template["spec"]
        for service in by_kind["Service"].values():
            ports = {p["name"] for c in pods[service["spec"]["selector"]["app"]]["containers"] for p in c["ports"]}
            for port in service["spec"]["ports"]:
                self.assertIn(port["targetPort"], ports)
        for spec in pods.values():
            volumes = {volume["name"] for volume in spec["volumes"]}
            for container in spec["containers"]:
                self.assertEqual({mount["name"] for mount in container["volumeMounts"]}, volumes)
                self.assertTrue(container["securityContext"]["readOnlyRootFilesystem"])
                self.assertFalse(container["securityContext"]["allowPrivilegeEscalation"])
            self.assertTrue(spec["securityContext"]["runAsNonRoot"])

    def test_arguments_exist(self):
        for document in self.objects:
            if document["kind"] not in ("Deployment", "StatefulSet"):
                continue
            for container in document["spec"]["template"]["spec"]["containers"]:
                help_text = subprocess.run(
                    [BINARIES / f"groot-{container['name']}", "serve", "--help"], text=True, capture_output=True, check=True
                ).stdout
                for argument in container["args"][1:]:
                    with self.subTest(container=container["name"], argument=argument):
                        self.assertIn(argument.split("=")[0], help_text)


class MonitoringTests(unittest.TestCase):
    def test_rules_are_valid_and_fire_on_what_they_are_about(self):
        folder = ROOT / "deploy/prometheus"
        for command in (
            ["promtool", "check", "rules", "groot-fleet.rules.yml"],
            ["promtool", "check", "config", "prometheus.yml"],
            ["promtool", "test", "rules", "groot-fleet.rules_test.yml"],
        ):
            run = subprocess.run(command, cwd=folder, text=True, capture_output=True)
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_every_alert_has_its_page_in_both_languages(self):
        rules = yaml.safe_load((ROOT / "deploy/prometheus/groot-fleet.rules.yml").read_text())["groups"][0]["rules"]
        english = (ROOT / "docs/operations/alerts.md").read_text()
        chinese = (ROOT / "docs/operations/alerts.zh-CN.md").read_text()
        for rule in rules:
            with self.subTest(alert=rule["alert"]):
                self.assertIn(f"\n## {rule['alert']}\n*{rule['labels']['severity']}.*", english)
                self.assertIn(f"| {rule['alert']} | {rule['labels']['severity']} |", chinese)
                self.assertEqual(rule["annotations"]["page"], f"docs/operations/alerts.md#{rule['alert'].lower()}")
        tried = {test["alertname"] for group in yaml.safe_load((ROOT / "deploy/prometheus/groot-fleet.rules_test.yml").read_text())["tests"]
                 for test in group["alert_rule_test"] if test["exp_alerts"]}
        self.assertEqual(tried, {rule["alert"] for rule in rules}, "each alert is seen to fire")
        pages = set(re.findall(r"^## (Groot\w+)$", english, re.M))
        self.assertEqual(pages, {rule["alert"] for rule in rules})

    def test_the_grafana_dashboard_is_complete(self):
        dashboard = json.loads((ROOT / "deploy/grafana/groot-fleet.json").read_text())
        panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
        self.assertGreater(len(panels), 15)
        self.assertEqual(len({panel["id"] for panel in dashboard["panels"]}), len(dashboard["panels"]))
        for panel in panels:
            self.assertTrue(panel["targets"] and all(target["expr"] for target in panel["targets"]), panel["title"])

    def test_the_page_to_install_has_the_same_commands_in_both_languages(self):
        def commands(page):
            blocks = re.findall(r"```(?:sh|ini)\n(.*?)```", (ROOT / "docs/operations" / page).read_text(), re.S)
            return [re.sub(r"\s+#.*", "", block) for block in blocks]

        self.assertEqual(commands("install.zh-CN.md"), commands("install.md"))
        self.assertEqual(len(commands("install.md")), 7)

    def test_every_page_is_there_in_both_languages(self):
        folder = ROOT / "docs/operations"
        english = {page.stem for page in folder.glob("*.md") if not page.name.endswith(".zh-CN.md")}
        chinese = {page.name.removesuffix(".zh-CN.md") for page in folder.glob("*.zh-CN.md")}
        self.assertEqual(chinese, english)

    def test_every_threat_names_tests_that_exist(self):
        swift = "\n".join(file.read_text() for file in (ROOT / "Tests").rglob("*.swift"))
        python = "\n".join(file.read_text() for file in (ROOT / "Tests").rglob("*.py"))
        sources = "\n".join(file.read_text() for file in (ROOT / "Sources/Gateway").rglob("*.swift"))

        def is_test(name):
            if name.startswith("test_") and not name.endswith(".py"):
                return f"def {name}(self" in python
            if re.fullmatch(r"\w+\.(py|yml)", name.replace("-", "_").replace("groot_fleet.rules_test.yml", "rules_test.yml")):
                return any((ROOT / folder).joinpath(name).exists() for folder in ("Tests/Operation", "deploy/prometheus"))
            return (ROOT / "Tests" / name).is_dir() or re.search(rf"\b(struct|class) {name}\b|\bfunc {name}\(", swift + python) is not None

        rows = re.findall(r"^\| (\d+) \| .* \| (.*) \|$", (ROOT / "docs/threat-model.md").read_text(), re.M)
        self.assertGreater(len(rows), 15)
        for number, shown in rows:
            names = re.findall(r"`([^`]+)`", shown)
            with self.subTest(threat=number):
                self.assertTrue(any(is_test(name) for name in names), "a threat without a test")
                self.assertEqual([name for name in names if not is_test(name) and f'"{name}"' not in sources], [])
        chinese = (ROOT / "docs/threat-model.zh-CN.md").read_text()
        self.assertEqual([number for number, _ in rows], re.findall(r"^\| (\d+) \|", chinese, re.M), "the same threats in Chinese")

    def test_links_of_the_pages_lead_somewhere(self):
        for page in [*(ROOT / "docs/operations").glob("*.md"), *(ROOT / "docs").glob("threat-model*.md")]:
            for target in re.findall(r"\]\(([^)#:]+\.md)", page.read_text()):
                with self.subTest(page=page.name, target=target):
                    self.assertTrue((page.parent / target).exists())


if __name__ == "__main__":
    unittest.main()
