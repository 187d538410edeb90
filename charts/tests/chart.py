"""What the tests of the chart share: rendering it with Helm, and finding objects in the result."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import yaml

TESTS = Path(__file__).resolve().parent
REPOSITORY = TESTS.parents[1]
CHART = REPOSITORY / "charts/weir"
NAMESPACE = "weir-system"

# The only kinds that the chart may create outside of namespaces.
CLUSTER_KINDS = {
    "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
}


def helm(*args, deadline_seconds=120):
    return subprocess.run([os.environ["HELM"], *args], capture_output=True, text=True, timeout=deadline_seconds, check=False)


def helm_template(values, release="weir", *options):
    """Runs `helm template` with the name of a file in values/, or with a mapping."""
    given = ("template", release, str(CHART), "--namespace", NAMESPACE, *options, "--values")
    if isinstance(values, str):
        return helm(*given, str(TESTS / "values" / f"{values}.yaml"))
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(values, file)
        file.flush()
        return helm(*given, file.name)


class OnceLoader(yaml.SafeLoader):
    """Loads YAML in which no key may occur twice: the API server would silently take the last one."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"given twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


class ChartTest(unittest.TestCase):
    """A test of what the chart renders."""

    maxDiff = None

    def render(self, values, release="weir", *options):
        done = helm_template(values, release, *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [document for document in yaml.load_all(done.stdout, OnceLoader) if document]

    def refused(self, values):
        done = helm_template(values)
        self.assertNotEqual(done.returncode, 0, f"accepted: {values}")
        return done.stderr

    def one(self, documents, kind, name=None):
        found = [d for d in documents if d["kind"] == kind and name in (None, d["metadata"]["name"])]
        self.assertEqual(len(found), 1, f"{kind} {name or ''} in {[(d['kind'], d['metadata']['name']) for d in documents]}")
        return found[0]
