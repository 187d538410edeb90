"""Tests that the operator has exactly the rights that it uses, which are listed here a second time. e2e/tests/operator
runs with these rights, and so tests that it needs no others."""

import itertools
import re
import unittest

from chart import NAMESPACE, REPOSITORY, ChartTest

SOURCE = REPOSITORY / "operator/src"

# What `Writer` does with an object, and the watch that sees what others do with the object.
APPLIED = {"get", "create", "patch"}
WATCHED = {"list", "watch"}
OPERATOR = {
    ("weir.dev", "streampipelines"): WATCHED | {"patch"},
    ("weir.dev", "streampipelines/status"): {"patch"},
    # Needed for owner references that block a foreground deletion.
    ("weir.dev", "streampipelines/finalizers"): {"update"},
    ("apps", "deployments"): APPLIED | WATCHED | {"delete"},
    ("apps", "controllerrevisions"): APPLIED | WATCHED | {"delete"},
    ("apps", "replicasets"): {"list"},
    ("batch", "jobs"): APPLIED | WATCHED | {"delete"},
    ("", "configmaps"): APPLIED | WATCHED | {"delete"},
    # The garbage collector deletes these with their pipeline.
    ("", "services"): APPLIED | WATCHED,
    ("", "serviceaccounts"): APPLIED | WATCHED,
    ("networking.k8s.io", "networkpolicies"): APPLIED | WATCHED,
    ("monitoring.coreos.com", "podmonitors"): APPLIED,
    ("", "pods"): WATCHED,
    ("", "secrets"): WATCHED | {"get"},
    ("events.k8s.io", "events"): {"create", "patch"},
}
LEADER = {("coordination.k8s.io", "leases"): {"create"}, ("coordination.k8s.io", "leases", "weir-operator"): {"get", "update"}}
# Kubernetes' kinds in the operator's source.
KINDS = {
    "Deployment": "deployments", "ControllerRevision": "controllerrevisions", "ReplicaSet": "replicasets", "Job": "jobs",
    "ConfigMap": "configmaps", "Service": "services", "ServiceAccount": "serviceaccounts", "NetworkPolicy": "networkpolicies",
    "Pod": "pods", "Secret": "secrets", "StreamPipeline": "streampipelines",
}


def rights(role):
    """The rights by group and resource, and by name where a right is bound to names."""
    found = {}
    for rule in role["rules"]:
        for of in itertools.product(rule["apiGroups"], rule["resources"], rule.get("resourceNames", [None])):
            found.setdefault(tuple(part for part in of if part is not None), set()).update(rule["verbs"])
    return found


def used():
    """The resources that the operator's source deletes, watches and gets, found by `Kind` in the calls."""
    source = "\n".join(path.read_text() for path in sorted(SOURCE.rglob("*.rs")) if path.name != "tests.rs")
    source = re.sub(r"\bv1::Job\b", "Job", source)
    find = lambda pattern: {KINDS[kind] for kind in re.findall(pattern, source)}
    return {
        "delete": find(r"\.delete::<(\w+)>") | find(r"delete\(&Api::<(\w+)>"),
        "watch": find(r"ours::<(\w+)>\(scope") | find(r"watcher\(scope\.api::<(\w+)>") | {"secrets"},
    }


class Rights(ChartTest):
    def test_what_may_be_deleted_and_watched_is_what_the_source_deletes_and_watches(self):
        for verb, resources in used().items():
            self.assertEqual({of[1] for of, verbs in OPERATOR.items() if verb in verbs}, resources, verb)

    def bound(self, documents, kind, namespace):
        """What the operator's account may do through the bindings of this kind in a namespace."""
        of_account, account = {}, {"kind": "ServiceAccount", "name": "weir-operator", "namespace": NAMESPACE}
        for binding in documents:
            if binding["kind"] == kind + "Binding" and binding["metadata"].get("namespace") == namespace:
                self.assertEqual(binding["subjects"], [account])
                roles = [d for d in documents if d["kind"] == kind and d["metadata"].get("namespace") == namespace]
                role = next(d for d in roles if d["metadata"]["name"] == binding["roleRef"]["name"])
                of_account |= rights(role)
        return of_account

    def test_all_namespaces_by_a_cluster_role_and_leases_by_a_role(self):
        documents = self.render({})
        self.assertEqual(self.bound(documents, "ClusterRole", None), OPERATOR)
        self.assertEqual(self.bound(documents, "Role", NAMESPACE), LEADER)
        self.assertEqual({d["metadata"]["namespace"] for d in documents if d["kind"] == "Role"}, {NAMESPACE})

    def test_watched_namespaces_by_roles_there(self):
        documents = self.render("namespaced")
        for namespace in ("team-a", "team-b"):
            self.assertEqual(self.bound(documents, "Role", namespace), OPERATOR)
        self.assertEqual(self.bound(documents, "Role", NAMESPACE), LEADER)

    def test_watching_its_own_namespace_keeps_the_leases(self):
        documents = self.render({"watchNamespaces": [NAMESPACE]})
        self.assertEqual(self.bound(documents, "Role", NAMESPACE), OPERATOR | LEADER)

    def test_users_get_pipelines_and_nothing_else(self):
        documents = self.render({})
        view = self.one(documents, "ClusterRole", "weir-view")
        edit = self.one(documents, "ClusterRole", "weir-edit")
        for role in (view, edit):
            self.assertEqual({group for group, _ in rights(role)}, {"weir.dev"})
        self.assertEqual({v for verbs in rights(view).values() for v in verbs}, {"get", "list", "watch"})
        # Only the operator writes the status.
        self.assertNotIn(("weir.dev", "streampipelines/status"), rights(edit))


if __name__ == "__main__":
    unittest.main()
