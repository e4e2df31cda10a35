"""The Python client of Kubernetes, unmodified, as a command.

usage: kube.py KUBECONFIG pods NAMESPACE          names of the pods
       kube.py KUBECONFIG run NAMESPACE NAME      makes a pod
       kube.py KUBECONFIG review TOKEN [AUDIENCE] what TokenReview says of a token
       kube.py KUBECONFIG secrets NAMESPACE       names of the Secrets

Prints one JSON value; a refusal is {"refused": STATUS}.
"""

import json
import sys

from kubernetes import client, config


def names(listed):
    return [item.metadata.name for item in listed.items]


def run(verb, arguments):
    core = client.CoreV1Api()
    if verb == "pods":
        return names(core.list_namespaced_pod(arguments[0]))
    if verb == "secrets":
        return names(core.list_namespaced_secret(arguments[0]))
    if verb == "run":
        namespace, name = arguments
        container = client.V1Container(name="main", image="scratch")
        pod = client.V1Pod(metadata=client.V1ObjectMeta(name=name), spec=client.V1PodSpec(containers=[container]))
        return core.create_namespaced_pod(namespace, pod).metadata.name
    spec = client.V1TokenReviewSpec(token=arguments[0], audiences=arguments[1:] or None)
    status = client.AuthenticationV1Api().create_token_review(client.V1TokenReview(spec=spec)).status
    return {"authenticated": bool(status.authenticated), "user": status.user and status.user.username}


def main(kubeconfig, verb, *arguments):
    config.load_kube_config(kubeconfig)
    try:
        answer = run(verb, list(arguments))
    except client.exceptions.ApiException as error:
        answer = {"refused": error.status}
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
