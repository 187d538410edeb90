"""Tests of alerts and dashboard: they name metrics that exist, fire only when they should, and have a page to look
at."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import metrics
from chart import CHART, REPOSITORY, TESTS, ChartTest, yaml

ON = {"prometheusRule": {"enabled": True}, "serviceMonitor": {"enabled": True}, "dashboard": {"enabled": True}}


class Alerts(ChartTest):
    def groups(self, **more):
        values = {**ON, "prometheusRule": {"enabled": True, **more}}
        return self.one(self.render(values), "PrometheusRule")["spec"]["groups"]

    def alerts(self, **more):
        return {rule["alert"]: rule for group in self.groups(**more) for rule in group["rules"]}

    def promtool(self, groups, *command):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "alerts.yaml").write_text(yaml.safe_dump({"groups": groups}))
            shutil.copy(TESTS / "alerts_test.yaml", folder)
            done = subprocess.run([os.environ["PROMTOOL"], *command], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    @unittest.skipUnless(os.environ.get("PROMTOOL"), "promtool is not installed")
    def test_alerts_fire_when_they_should_and_not_else(self):
        groups = self.groups()
        # The text of an alert is for people and is not compared; `check rules` tests its templates.
        self.promtool(groups, "check", "rules", "alerts.yaml")
        for group in groups:
            for rule in group["rules"]:
                del rule["annotations"]
        self.promtool(groups, "test", "rules", "alerts_test.yaml")

    def test_each_alert_is_tried_firing_and_silent(self):
        tried = [t for case in yaml.safe_load((TESTS / "alerts_test.yaml").read_text())["tests"] for t in case["alert_rule_test"]]
        for alert in self.alerts():
            fires = {bool(t.get("exp_alerts")) for t in tried if t["alertname"] == alert}
            self.assertEqual(fires, {True, False}, alert)

    def test_alerts_name_metrics_that_exist(self):
        for name, rule in self.alerts().items():
            self.assertTrue(metrics.named(rule["expr"]), name)
            self.assertLessEqual(metrics.named(rule["expr"]), metrics.known(), name)

    def test_nothing_is_left_to_fill_in(self):
        for rule in self.alerts().values():
            self.assertNotRegex(json.dumps(rule), r"<[a-zA-Z]+>")

    def test_each_alert_says_what_to_look_at_and_where_more_is_written(self):
        page = (REPOSITORY / "docs/operating.md").read_text()
        anchors = {heading.lower() for heading in re.findall(r"^#+ (\w+)$", page, re.MULTILINE)}
        for name, rule in self.alerts().items():
            self.assertIn(rule["labels"]["severity"], {"info", "warning", "critical"}, name)
            self.assertRegex(rule["annotations"]["summary"], r"\{\{ \$labels\.namespace \}\}|in weir-system", name)
            self.assertIn("ook at", rule["annotations"]["description"], name)
            self.assertIn(rule["annotations"]["runbook_url"].split("#")[1], anchors, name)

    def test_thresholds_are_filled_in(self):
        self.assertIn("> 321", self.alerts(thresholds={"lagRecords": 321})["WeirLagGrowing"]["expr"])
        stuck = self.alerts(thresholds={"watermarkStuck": "2h"})["WeirWatermarkStuck"]
        self.assertIn("offset 2h", stuck["expr"])
        self.assertIn("2h", stuck["annotations"]["summary"])

    def test_disabled_alerts_are_left_out_and_labels_added(self):
        alerts = self.alerts(disabled=["WeirNoData"], alertLabels={"team": "data", "severity": "none"})
        self.assertNotIn("WeirNoData", alerts)
        for rule in alerts.values():
            self.assertEqual(rule["labels"]["team"], "data")
            self.assertNotEqual(rule["labels"]["severity"], "none")

    def test_without_the_operator_s_metrics_there_are_no_alerts_on_them(self):
        rules = self.one(self.render({"prometheusRule": {"enabled": True}}), "PrometheusRule")
        self.assertEqual([group["name"] for group in rules["spec"]["groups"]], ["weir-pipelines"])

    def test_conditions_keep_the_namespace_of_their_pipeline(self):
        endpoint = self.one(self.render(ON), "ServiceMonitor")["spec"]["endpoints"][0]
        self.assertTrue(endpoint["honorLabels"])


class Dashboard(ChartTest):
    def dashboard(self):
        config_map = self.one(self.render(ON), "ConfigMap")
        self.assertEqual(config_map["metadata"]["labels"]["grafana_dashboard"], "1")
        return json.loads(config_map["data"]["weir.json"])

    def expressions(self):
        return [target["expr"] for panel in self.dashboard()["panels"] for target in panel.get("targets", [])]

    def test_it_is_the_file_as_it_is(self):
        self.assertEqual(self.dashboard(), json.loads((CHART / "files/dashboard.json").read_text()))

    def test_panels_name_metrics_that_exist(self):
        for expression in self.expressions():
            self.assertTrue(metrics.named(expression), expression)
            self.assertLessEqual(metrics.named(expression), metrics.known(), expression)

    def test_every_metric_of_the_runtime_has_a_panel(self):
        def bases(names):
            return {re.sub("_(bucket|sum|count)$", "", name) for name in names}

        shown = bases(set().union(*(metrics.named(e) for e in self.expressions())))
        self.assertEqual(bases(metrics.of_source(metrics.RUNTIME)) - shown, set())

    @unittest.skipUnless(os.environ.get("PROMTOOL"), "promtool is not installed")
    def test_panels_are_promql(self):
        filled = [e.replace("$__rate_interval", "5m").replace("$namespace", ".*").replace("$pipeline", ".*") for e in self.expressions()]
        rules = [{"record": f"panel:{i}", "expr": e} for i, e in enumerate(filled)]
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "panels.yaml"
            file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
            done = subprocess.run([os.environ["PROMTOOL"], "check", "rules", file], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_panels_have_their_own_ids_and_places(self):
        panels = self.dashboard()["panels"]
        self.assertEqual(len({p["id"] for p in panels}), len(panels))
        taken = set()
        for panel in panels:
            place = panel["gridPos"]
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
            self.assertFalse(cells & taken, panel["title"])
            self.assertLessEqual(place["x"] + place["w"], 24)
            taken |= cells


if __name__ == "__main__":
    unittest.main()
