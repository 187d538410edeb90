"""Tests of the chart on the API server of KUBECONFIG: refused objects, Pod Security, rights, and a release from install
to uninstall.

They use their own namespace, which is deleted, and are skipped if the cluster already has the StreamPipeline resource,
since they must not change it then.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from chart import CHART, REPOSITORY, ChartTest, helm, yaml

NAMESPACE = f"weir-chart-{os.getpid()}"
RELEASE = f"weir-chart-{os.getpid()}"
OPERATOR = f"{RELEASE}-operator"
ACCOUNT = "pods"
CRD = "streampipelines.weir.dev"
# The objects that stay when a release is uninstalled.
KEPT = "crd,validatingadmissionpolicy,validatingadmissionpolicybinding"


def kubectl(*args, given=None):
    return subprocess.run([os.environ["KUBECTL"], *args], input=given, capture_output=True, text=True, timeout=60, check=False)


@unittest.skipUnless(os.environ.get("KUBECONFIG") and os.environ.get("KUBECTL"), "KUBECONFIG names no API server, or kubectl is missing")
class Server(ChartTest):
    @classmethod
    def setUpClass(cls):
        if kubectl("get", "crd", CRD).returncode == 0:
            raise unittest.SkipTest(f"the cluster has {CRD} already")
        cls.addClassCleanup(kubectl, "delete", "namespace", NAMESPACE, "--wait=false")
        cls.addClassCleanup(kubectl, "delete", KEPT, CRD, "--ignore-not-found")
        labels = {f"pod-security.kubernetes.io/{label}": value for label, value in (("enforce", "restricted"), ("enforce-version", "latest"))}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
        # Without controllers a namespace does not even have the default account.
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": NAMESPACE}}
        for made in (namespace, account):
            done = kubectl("create", "-f", "-", given=json.dumps(made))
            if done.returncode != 0:
                raise AssertionError(done.stderr)

    def helm(self, *args):
        done = helm(*args, "--namespace", NAMESPACE)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def kubectl(self, *args, given=None):
        done = kubectl(*args, given=given)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_a_dry_run_installs_every_kind_that_a_bare_cluster_has(self):
        self.helm("install", RELEASE, str(CHART), "--dry-run=server", "--set", "networkPolicy.enabled=true,dashboard.enabled=true")

    def test_the_server_takes_every_object_without_a_warning(self):
        for values in ({"networkPolicy": {"enabled": True}, "dashboard": {"enabled": True}}, {"watchNamespaces": [NAMESPACE]}):
            rendered = self.render(values, RELEASE)
            for document in rendered:
                if "namespace" in document["metadata"]:
                    document["metadata"]["namespace"] = NAMESPACE
            done = kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", given=yaml.safe_dump_all(rendered))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stderr, "")

    def test_pods_are_let_into_a_restricted_namespace(self):
        for values in ({}, "single"):
            template = self.one(self.render(values, RELEASE), "Deployment")["spec"]["template"]
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "operator", "namespace": NAMESPACE}, "spec": template["spec"]}
            pod["spec"]["serviceAccountName"] = ACCOUNT
            self.kubectl("create", "--dry-run=server", "-f", "-", given=json.dumps(pod))
            # Checks that such a pod can be refused at all.
            del pod["spec"]["containers"][0]["securityContext"]["capabilities"]
            self.assertIn("violates PodSecurity", kubectl("create", "--dry-run=server", "-f", "-", given=json.dumps(pod)).stderr)

    def test_a_release_from_install_over_upgrade_to_uninstall(self):
        self.helm("install", RELEASE, str(CHART))
        self.addCleanup(helm, "uninstall", RELEASE, "--namespace", NAMESPACE)
        self.kubectl("wait", "--for=condition=Established", f"crd/{CRD}", "--timeout=30s")
        self.rights()

        with tempfile.TemporaryDirectory() as folder:
            newer = Path(shutil.copytree(CHART, Path(folder) / "weir"))
            file = newer / "files" / f"{CRD}.yaml"
            crd = yaml.safe_load(file.read_text())
            crd["spec"]["names"]["shortNames"].append("newer")
            file.write_text(yaml.safe_dump(crd))
            self.helm("upgrade", RELEASE, str(newer))
            self.assertIn("newer", self.short_names())
        self.helm("upgrade", RELEASE, str(CHART), "--set", "crds.install=false")
        self.assertIn("newer", self.short_names())

        self.helm("uninstall", RELEASE)
        self.assertIn("newer", self.short_names())
        self.assertNotEqual(kubectl("get", "clusterrole", OPERATOR).returncode, 0)
        # The same release takes over what it left.
        self.helm("install", RELEASE, str(CHART))
        self.assertNotIn("newer", self.short_names())

    def test_a_rollback_does_not_put_an_older_resource_in_place_of_a_newer_one(self):
        self.helm("install", RELEASE, str(CHART))
        self.addCleanup(kubectl, "delete", KEPT, CRD, "--ignore-not-found")
        self.addCleanup(helm, "uninstall", RELEASE, "--namespace", NAMESPACE)
        with tempfile.TemporaryDirectory() as folder:
            newer = Path(shutil.copytree(CHART, Path(folder) / "weir"))
            (newer / "Chart.yaml").write_text((CHART / "Chart.yaml").read_text().replace("0.1.0", "0.10.0"))
            file = newer / "files" / f"{CRD}.yaml"
            file.write_text(file.read_text().replace("  - spl\n", "  - spl\n    - newer\n"))
            self.helm("upgrade", RELEASE, str(newer))
        self.assertIn("newer", self.short_names())
        self.wait_for_guard()
        done = helm("rollback", RELEASE, "1", "--namespace", NAMESPACE)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("is of Weir 0.10.0, and one of 0.1.0 would cut the newer fields out of pipelines", done.stderr)
        self.assertIn("newer", self.short_names())
        self.helm("upgrade", RELEASE, str(CHART), "--set", "crds.install=false")
        self.assertIn("newer", self.short_names())

    def wait_for_guard(self):
        """Waits, since a policy is in force only a moment after it was created."""
        deadline = time.monotonic() + 30
        while True:
            older = kubectl("annotate", "crd", CRD, "weir.dev/version=0.0.1", "--overwrite", "--dry-run=server")
            if older.returncode != 0:
                return
            self.assertLess(time.monotonic(), deadline, "nothing guards the resource")
            time.sleep(0.2)

    def test_an_author_may_write_what_the_policy_allows_and_is_told_so_otherwise(self):
        values = {"authors": {
            "policy": True, "images": ["registry.example/weir:", "registry.example/mirror/"], "serviceAccounts": [],
            "priorityClasses": ["batch", "spot"], "bootstrapServers": ["kafka.data:9092"], "uriPrefixes": ["s3://lake/"]}}
        self.helm("install", RELEASE, str(CHART))
        self.addCleanup(kubectl, "delete", KEPT, CRD, "--ignore-not-found")
        self.addCleanup(helm, "uninstall", RELEASE, "--namespace", NAMESPACE)
        self.kubectl("wait", "--for=condition=Established", f"crd/{CRD}", "--timeout=30s")
        self.kubectl("create", "-f", "-", given=self.pipeline({"image": "elsewhere.example/weir:1"}, "earlier"))
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(values, file)
            file.flush()
            self.helm("upgrade", RELEASE, str(CHART), "--values", file.name)
        role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "authors", "namespace": NAMESPACE},
                "rules": [{"apiGroups": ["weir.dev"], "resources": ["streampipelines"], "verbs": ["create", "get", "update", "patch"]}]}
        self.kubectl("apply", "-f", "-", given=json.dumps(role))
        self.kubectl("create", "rolebinding", "authors", "--role=authors", "--user=author", f"--namespace={NAMESPACE}")
        self.wait_for_policy()

        events = {"name": "events", "kafka": {"bootstrapServers": "kafka.data:9092, evil.example:9092"}}
        rules = (
            ({"image": "registry.example/weir:0.1.0"}, {"image": "registry.example/weirder:0.1.0"},
             "spec.image: found `registry.example/weirder:0.1.0`: write an image that begins with `registry.example/weir:` or "
             "`registry.example/mirror/`, or leave it out"),
            ({"podTemplate": {"labels": {"a": "b"}}}, {"podTemplate": {"serviceAccountName": "admin"}},
             "spec.podTemplate.serviceAccountName: found `admin`: write nothing, since nothing is allowed, or leave it out"),
            ({"podTemplate": {"priorityClassName": "spot"}}, {"podTemplate": {"priorityClassName": "system-cluster-critical"}},
             "spec.podTemplate.priorityClassName: found `system-cluster-critical`: write `batch` or `spot`, or leave it out"),
            ({"connections": [{"name": "events", "kafka": {"bootstrapServers": "kafka.data:9092"}}]}, {"connections": [events]},
             "spec.connections: found `kafka.data:9092, evil.example:9092` in bootstrapServers: write `kafka.data:9092`"),
            ({"checkpoint": {"uri": "s3://lake/checkpoints/mine"}}, {"checkpoint": {"uri": "s3://lakes/checkpoints/mine"}},
             "spec.checkpoint and spec.sinks: found `s3://lakes/checkpoints/mine`: write a place below `s3://lake/`"),
        )
        for right, wrong, sentence in rules:
            with self.subTest(wrong=wrong):
                self.assertEqual(self.as_author(right).returncode, 0, self.as_author(right).stderr)
                refused = self.as_author(wrong)
                self.assertNotEqual(refused.returncode, 0)
                self.assertIn(sentence, refused.stderr)

        # A pipeline that was there before is left alone until its spec changes.
        self.kubectl("label", "spl", "earlier", "team=a", f"--namespace={NAMESPACE}")
        change = json.dumps({"spec": {"suspend": True}})
        refused = kubectl("patch", "spl", "earlier", "--type=merge", "--patch", change, f"--namespace={NAMESPACE}")
        self.assertIn("spec.image: found `elsewhere.example/weir:1`", refused.stderr)

    def pipeline(self, spec, name="mine"):
        document = yaml.safe_load((REPOSITORY / "examples/rides.yaml").read_text())
        document["metadata"] = {"name": name, "namespace": NAMESPACE}
        document["spec"] |= spec
        return json.dumps(document)

    def as_author(self, spec):
        author = ("--as=author", "--as-group=system:authenticated")
        return kubectl("create", "--dry-run=server", *author, "-f", "-", given=self.pipeline(spec))

    def wait_for_policy(self):
        deadline = time.monotonic() + 30
        while self.as_author({"image": "elsewhere.example/weir:1"}).returncode == 0:
            self.assertLess(time.monotonic(), deadline, "no policy is in force")
            time.sleep(0.2)

    def short_names(self):
        return json.loads(self.kubectl("get", "crd", CRD, "-o", "json"))["spec"]["names"]["shortNames"]

    def rights(self):
        """Checks the rights as the API server sees them."""
        for expected, *question in (
            ("yes", "patch", "streampipelines/status", "--all-namespaces"),
            ("yes", "create", "deployments.apps", "--all-namespaces"),
            ("yes", "update", f"leases.coordination.k8s.io/{OPERATOR}", f"--namespace={NAMESPACE}"),
            ("no", "update", "leases.coordination.k8s.io/another", f"--namespace={NAMESPACE}"),
            ("no", "update", "leases.coordination.k8s.io", "--namespace=default"),
            ("no", "create", "streampipelines", "--all-namespaces"),
            ("no", "create", "secrets", "--all-namespaces"),
            ("no", "create", "pods", "--all-namespaces"),
            ("no", "delete", "streampipelines", "--all-namespaces"),
            ("no", "create", "clusterroles", "--all-namespaces"),
        ):
            self.assertEqual(self.answer(expected, question), expected, question)

    def answer(self, expected, question):
        """Waits, since the authorizer learns of a new binding a moment later."""
        deadline = time.monotonic() + 20
        while True:
            answer = kubectl("auth", "can-i", *question, f"--as=system:serviceaccount:{NAMESPACE}:{OPERATOR}").stdout.strip()
            if answer == expected or time.monotonic() > deadline:
                return answer
            time.sleep(0.2)


if __name__ == "__main__":
    unittest.main()
