"""The operator's rights: exactly what it uses, written down a second time."""

import unittest

from chart import NAMESPACE, ChartTest

OBJECT_VERBS = {"get", "list", "watch", "create", "patch", "delete"}
OPERATOR = {
    ("weir.dev", "streampipelines"): {"get", "list", "watch", "patch", "update"},
    ("weir.dev", "streampipelines/status"): {"patch", "update"},
    ("weir.dev", "streampipelines/finalizers"): {"update"},
    ("apps", "deployments"): OBJECT_VERBS,
    ("apps", "controllerrevisions"): OBJECT_VERBS,
    ("batch", "jobs"): OBJECT_VERBS,
    ("", "configmaps"): OBJECT_VERBS,
    ("", "services"): OBJECT_VERBS,
    ("", "serviceaccounts"): OBJECT_VERBS,
    ("policy", "poddisruptionbudgets"): OBJECT_VERBS,
    ("networking.k8s.io", "networkpolicies"): OBJECT_VERBS,
    ("monitoring.coreos.com", "podmonitors"): OBJECT_VERBS,
    ("", "pods"): {"get", "list", "watch"},
    ("", "secrets"): {"get", "list", "watch"},
    ("", "events"): {"create", "patch"},
    ("events.k8s.io", "events"): {"create", "patch"},
}
LEADER = {("coordination.k8s.io", "leases"): {"get", "create", "update", "patch"}}


def rights(role):
    return {(g, r): set(rule["verbs"]) for rule in role["rules"] for g in rule["apiGroups"] for r in rule["resources"]}


class Rights(ChartTest):
    def bound(self, documents, kind, namespace):
        """What the operator's account may do by the bindings of a kind in a namespace."""
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
        # Status is the operator's to write.
        self.assertNotIn(("weir.dev", "streampipelines/status"), rights(edit))


if __name__ == "__main__":
    unittest.main()
