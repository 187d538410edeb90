"""Tests of what the chart renders with several values."""

import json
import unittest

from chart import CHART, CLUSTER_KINDS, NAMESPACE, ChartTest, helm, yaml

KEPT = "streampipelines.weir.dev"
VALUES_FILES = ("everything", "namespaced", "single")


class Objects(ChartTest):
    def test_lint_finds_nothing(self):
        done = helm("lint", "--strict", str(CHART))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("[WARNING]", done.stdout)

    def test_by_default_two_replicas_and_no_kind_that_a_bare_cluster_lacks(self):
        documents = self.render({})
        self.assertEqual(self.one(documents, "Deployment")["spec"]["replicas"], 2)
        self.assertLessEqual({d["apiVersion"].split("/")[0] for d in documents},
                             {"v1", "apps", "policy", "rbac.authorization.k8s.io", "apiextensions.k8s.io", "admissionregistration.k8s.io"})

    def test_the_command_line_is_the_operator_s(self):
        container = self.one(self.render({}), "Deployment")["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual(container["args"], [
            "run", "--http", "0.0.0.0:8080", "--runtime-image", "ghcr.io/weir-dev/weir:0.1.0",
            "--ingress-from", self.ingress(container), "--leader-election-namespace", "$(POD_NAMESPACE)", "--leader-election-name", "weir-operator", "--identity", "$(POD_NAME)",
            "--log-json"])
        self.assertEqual({e["name"]: e["valueFrom"]["fieldRef"]["fieldPath"] for e in container["env"]},
                         {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace"})

    def ingress(self, container):
        return container["args"][container["args"].index("--ingress-from") + 1]

    def test_the_operator_and_the_scrapers_reach_pipelines(self):
        for values, scraper in (
            ({}, {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}}),
            ("everything", {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}),
        ):
            deployment = self.one(self.render(values), "Deployment")
            operator = {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}},
                "podSelector": {"matchLabels": deployment["spec"]["selector"]["matchLabels"]},
            }
            given = json.loads(self.ingress(deployment["spec"]["template"]["spec"]["containers"][0]))
            self.assertEqual(given, [operator, scraper])

    def test_watched_namespaces_are_on_the_command_line(self):
        container = self.one(self.render("namespaced"), "Deployment")["spec"]["template"]["spec"]["containers"][0]
        given = [container["args"][i + 1] for i, arg in enumerate(container["args"]) if arg == "--namespace"]
        self.assertEqual(given, ["team-a", "team-b"])

    def test_two_releases_in_one_namespace_elect_a_leader_each(self):
        leases = set()
        for release in ("weir", "other"):
            documents = self.render({"watchNamespaces": [release]}, release)
            args = self.one(documents, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]
            leases.add(args[args.index("--leader-election-name") + 1])
        self.assertEqual(leases, {"weir-operator", "other-weir-operator"})

    def test_labels_of_pod_monitors_are_on_the_command_line(self):
        args = self.one(self.render({"podMonitor": {"labels": {"release": "prometheus", "a": "b"}}}), "Deployment")
        args = args["spec"]["template"]["spec"]["containers"][0]["args"]
        self.assertEqual([args[i + 1] for i, arg in enumerate(args) if arg == "--pod-monitor-label"], ["a=b", "release=prometheus"])

    def test_labels_of_secrets_are_on_the_command_line(self):
        args = self.one(self.render("everything"), "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]
        self.assertEqual(args[args.index("--secret-label") + 1], "weir.dev/use=pipelines")

    def test_a_rule_for_authors_is_there_for_each_list_that_does_not_allow_everything(self):
        self.assertEqual({d["metadata"]["name"] for d in self.render({}) if d["kind"] == "ValidatingAdmissionPolicy"}, {KEPT})
        rules = lambda authors: len(self.one(self.render({"authors": authors}), "ValidatingAdmissionPolicy", "weir-authors")["spec"]["validations"])
        self.assertEqual(rules({"policy": True}), 1)
        self.assertEqual(rules({"policy": True, "images": ["a/"], "serviceAccounts": [], "priorityClasses": [], "bootstrapServers": [],
                                "uriPrefixes": []}), 6)

    def test_the_resource_says_its_version_and_is_guarded_and_both_stay(self):
        documents = self.render({})
        guarded = [self.one(documents, kind) for kind in
                   ("CustomResourceDefinition", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")]
        for document in guarded:
            self.assertEqual(document["metadata"]["name"], "streampipelines.weir.dev")
            self.assertEqual(document["metadata"]["annotations"]["helm.sh/resource-policy"], "keep")
        self.assertEqual(guarded[0]["metadata"]["annotations"]["weir.dev/version"], "0.1.0")
        for values in ({"crds": {"guard": False}}, {"crds": {"install": False}}):
            self.assertNotIn("ValidatingAdmissionPolicy", {d["kind"] for d in self.render(values)})

    def test_a_digest_wins_over_a_tag(self):
        container = self.one(self.render("everything"), "Deployment")["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual(container["image"], "registry.example/weir-operator@sha256:" + "0123456789abcdef" * 4)
        self.assertIn("registry.example/weir:1.2", container["args"])

    def test_pods_pass_the_restricted_standard_whatever_the_values(self):
        for values in ({}, *VALUES_FILES):
            with self.subTest(values=values):
                pod = self.one(self.render(values), "Deployment")["spec"]["template"]["spec"]
                self.assertEqual(pod["securityContext"], {
                    "runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}})
                for container in pod["containers"]:
                    self.assertEqual(container["securityContext"], {
                        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}})
                    self.assertIn("memory", container["resources"]["limits"])
                    self.assertLessEqual({"livenessProbe", "readinessProbe", "startupProbe"}, container.keys())
                self.assertNotIn("volumes", pod)

    def test_where_the_platform_assigns_users_no_pod_asks_for_one(self):
        openshift = ("--api-versions", "security.openshift.io/v1")
        for expected, values, options in (
            (False, {}, ()),
            (True, {}, openshift),
            (True, {"openshift": True}, ()),
            (False, {"openshift": False}, openshift),
        ):
            with self.subTest(values=values, options=options):
                pod = self.one(self.render(values, "weir", *options), "Deployment")["spec"]["template"]["spec"]
                self.assertEqual("--assigned-users" in pod["containers"][0]["args"], expected)
                self.assertEqual("runAsUser" not in pod["securityContext"] and "runAsGroup" not in pod["securityContext"], expected)
                self.assertTrue(pod["securityContext"]["runAsNonRoot"])

    def test_selectors_find_the_operator_s_pods_and_no_runtime_s(self):
        for values in ({}, "everything"):
            documents = self.render(values)
            deployment = self.one(documents, "Deployment")
            selector = deployment["spec"]["selector"]["matchLabels"]
            labels = deployment["spec"]["template"]["metadata"]["labels"]
            self.assertLessEqual(selector.items(), labels.items())
            self.assertEqual(selector["app.kubernetes.io/component"], "operator")
            self.assertEqual(self.one(documents, "Service")["spec"]["selector"], selector)
            self.assertEqual(self.one(documents, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"], selector)
        self.assertEqual(self.one(documents, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"], selector)
        self.assertEqual(self.one(documents, "ServiceMonitor")["spec"]["selector"]["matchLabels"], selector)

    def test_labels_of_the_user_are_on_every_object_and_change_none_of_the_chart_s(self):
        for document in self.render("everything"):
            if document["kind"] != "CustomResourceDefinition":
                labels = document["metadata"]["labels"]
                self.assertEqual(labels["example.com/owner"], "data", document["kind"])
                self.assertEqual(labels["app.kubernetes.io/name"], "streams", document["kind"])

    def test_switches_make_what_they_name(self):
        kinds = {d["kind"] for d in self.render("everything")}
        self.assertLessEqual({"NetworkPolicy", "ServiceMonitor", "PrometheusRule", "ConfigMap", "CustomResourceDefinition"}, kinds)

    def test_a_single_replica_has_no_disruption_budget_that_would_block_drains(self):
        documents = self.render("single")
        self.assertEqual({d["kind"] for d in documents}, {"Deployment", "Service"})
        self.assertEqual(self.one(documents, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"], "made-by-hand")

    def test_a_namespaced_release_has_nothing_outside_of_namespaces(self):
        self.assertFalse({d["kind"] for d in self.render("namespaced")} & CLUSTER_KINDS)

    def test_everything_else_is_in_the_release_s_namespace(self):
        for document in self.render("everything"):
            if document["kind"] not in CLUSTER_KINDS:
                self.assertEqual(document["metadata"]["namespace"], NAMESPACE, document["kind"])

    def test_long_release_names_give_names_that_are_not_too_long(self):
        for document in self.render({}, release="r" * 53):
            if document["kind"] != "CustomResourceDefinition":
                self.assertLessEqual(len(document["metadata"]["name"]), 63, document["kind"])


class Crd(ChartTest):
    def test_the_rendered_resource_is_the_file_with_annotations_of_the_chart(self):
        rendered = self.one(self.render({}), "CustomResourceDefinition")
        annotations = rendered["metadata"].pop("annotations")
        source = yaml.safe_load((CHART / "files/streampipelines.weir.dev.yaml").read_text())
        self.assertEqual(rendered, source)
        version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
        self.assertEqual(annotations, {"helm.sh/resource-policy": "keep", "weir.dev/version": version})

    def test_the_resource_is_a_template_that_helm_upgrades(self):
        self.assertFalse((CHART / "crds").exists())


if __name__ == "__main__":
    unittest.main()
