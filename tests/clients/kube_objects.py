"""Prints the objects that the bench's API servers have, as one list for `kubectl create -f -`.

The same accounts, pods and rights as `kube_apiserver.py` has built in; for a real API server.
"""

import json

from kube_apiserver import RULES

RBAC = "rbac.authorization.k8s.io"


def named(version, kind, name, namespace=None, **more):
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


def grant(user, number, rule):
    verb, resource, namespace, names = rule
    name, kind = f"bench-{number}", "Role" if namespace else "ClusterRole"
    allowed = {"apiGroups": [""], "verbs": [verb], "resources": [resource]} | ({"resourceNames": names} if names else {})
    yield named(f"{RBAC}/v1", kind, name, namespace, rules=[allowed])
    if user.startswith("system:serviceaccount:"):
        _, _, space, account = user.split(":")
        subject = {"kind": "ServiceAccount", "name": account, "namespace": space}
    else:
        subject = {"kind": "User", "apiGroup": RBAC, "name": user}
    reference = {"apiGroup": RBAC, "kind": kind, "name": name}
    yield named(f"{RBAC}/v1", f"{kind}Binding", name, namespace, subjects=[subject], roleRef=reference)


def objects():
    for namespace in ("ml", "serve", "many"):
        yield named("v1", "Namespace", namespace)
    accounts = ["ml/default", "ml/reader", "ml/writer", "serve/reader"] + [f"many/a{n:03}" for n in range(230)]
    for namespace, name in (account.split("/") for account in accounts):
        yield named("v1", "ServiceAccount", name, namespace)
    for namespace, name in (("ml", "train-0"), ("serve", "serve-0")):
        yield named("v1", "Pod", name, namespace, spec={"containers": [{"name": "main", "image": "scratch"}]})
    rules = [(user, rule) for user, rules in RULES.items() if user != "admin" for rule in rules]
    for number, (user, rule) in enumerate(rules):
        yield from grant(user, number, rule)


if __name__ == "__main__":
    print(json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects())}))
