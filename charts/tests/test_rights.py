"""Tests that the chart's bindings give the operator the rights that are listed here a second time, and nothing else.
e2e/tests/operator/rights.rs tests that the operator uses each of them, and needs no others."""

import itertools
import unittest

from chart import NAMESPACE, ChartTest

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
    ("networking.k8s.io", "networkpolicies"): APPLIED | WATCHED | {"delete"},
    ("monitoring.coreos.com", "podmonitors"): APPLIED,
    ("", "pods"): WATCHED,
    ("", "secrets"): {"get"},
    ("events.k8s.io", "events"): {"create", "patch"},
}
LEADER = {("coordination.k8s.io", "leases"): {"create"}, ("coordination.k8s.io", "leases", "weir-operator"): {"get", "update"}}


def rights(role):
    """The rights by group and resource, and by name where a right is bound to names."""
    found = {}
    for rule in role["rules"]:
        for of in itertools.product(rule["apiGroups"], rule["resources"], rule.get("resourceNames", [None])):
            found.setdefault(tuple(part for part in of if part is not None), set()).update(rule["verbs"])
    return found


class Rights(ChartTest):
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
