"""Unmodified Azure clients, and a bare HTTP client, one command a run; prints JSON.

    azure_client.py CA seed ENTRA TENANT CLIENT BLOBS        secret on stdin; makes containers, each with a blob
    azure_client.py CA assertion ENTRA TENANT CLIENT PEM     a token by certificate, as MSAL asks
    azure_client.py CA wrong ENTRA TENANT CLIENT             a secret on stdin that is none
    azure_client.py CA federated ENTRA TENANT CLIENT         JSON [[TRUST, ASSERTION], ...] on stdin: for each, the
                                                             federated credential is set, and azure-identity asks
    azure_client.py CA machine HOME AUDIENCE [CLIENT]        a token of the machine's identity, by its endpoint
    azure_client.py CA door URL                              the test's own door of the stand-in; JSON on stdin
    azure_client.py CA sas ACTION                            a signed URL on stdin; list, read, write, account
    azure_client.py CA sas-env ACTION BLOBS                  the same by AZURE_STORAGE_SAS_TOKEN of the environment
    azure_client.py CA blobs BLOBS                           a bearer token on stdin; lists containers
    azure_client.py CA images ENTRA TENANT CLIENT REGISTRY AUDIENCE ACTION REPOSITORY
                                                             a secret on stdin; by the registry's own client: push,
                                                             pull, delete, tags, manifests or catalog
    azure_client.py CA http METHOD URL                       a bearer token on stdin; the status
"""

import io
import json
import os
import re
import ssl
import sys
import time
import urllib.error
import urllib.request

from azure.containerregistry import ContainerRegistryClient
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.identity import (
    CertificateCredential, ClientAssertionCredential, ClientSecretCredential, ManagedIdentityCredential,
)
from azure.storage.blob import BlobServiceClient, ContainerClient

CONTAINERS = ("datasets", "models")


def entra(ca, authority):
    return {"authority": authority, "disable_instance_discovery": True, "connection_verify": ca}


def seed(ca, authority, tenant, client, blobs):
    credential = ClientSecretCredential(tenant, client, sys.stdin.read(), **entra(ca, authority))
    service = BlobServiceClient(blobs, credential=credential, connection_verify=ca)
    for name in CONTAINERS:
        container = service.create_container(name)
        container.upload_blob("train/a.txt", b"train/a.txt")
    return sorted(container.name for container in service.list_containers())


def assertion(ca, authority, tenant, client, pem):
    credential = CertificateCredential(tenant, client, pem, **entra(ca, authority))
    return credential.get_token("https://vault.azure.net/.default").token


def wrong(ca, authority, tenant, client):
    credential = ClientSecretCredential(tenant, client, sys.stdin.read(), **entra(ca, authority))
    return credential.get_token("https://vault.azure.net/.default").token


def machine(ca, home, audience, client=None):
    os.environ["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = home
    credential = ManagedIdentityCredential(client_id=client, connection_verify=ca)
    return credential.get_token(audience + "/.default").token


def federated(ca, authority, tenant, client):
    return [one_federated(ca, authority, tenant, client, *one) for one in json.load(sys.stdin)]


def one_federated(ca, authority, tenant, client, trust, text):
    knock(ca, authority + "/fake/federated", json.dumps(trust).encode())
    credential = ClientAssertionCredential(tenant, client, lambda: text, **entra(ca, authority))
    try:
        credential.get_token("https://vault.azure.net/.default")
        return "taken"
    except ClientAuthenticationError as error:
        # The library keeps Entra's number in its message only.
        return re.search(r"AADSTS\d+", error.message).group()


def door(ca, url):
    return knock(ca, url, sys.stdin.read().encode())


def knock(ca, url, body):
    with urllib.request.urlopen(url, body, context=ssl.create_default_context(cafile=ca)) as answer:
        return json.load(answer)


def act(container, action):
    if action == "list":
        return sorted(blob.name for blob in container.list_blobs())
    if action == "read":
        return container.download_blob("train/a.txt").readall().decode()
    if action == "write":
        container.upload_blob(f"new-{time.time_ns()}.txt", b"new")
        return "written"
    if action == "create":
        container.create_container()
        return "created"
    raise SystemExit(f"unknown action {action}")


def sas(ca, action):
    return act(ContainerClient.from_container_url(sys.stdin.read(), connection_verify=ca), action)


def sas_env(ca, action, blobs):
    token = os.environ["AZURE_STORAGE_SAS_TOKEN"]
    return act(ContainerClient(blobs, "datasets", credential=token, connection_verify=ca), action)


class Held:
    def __init__(self, token):
        self.token = token

    def get_token(self, *_, **__):
        return AccessToken(self.token, int(time.time()) + 600)


def blobs(ca, url):
    service = BlobServiceClient(url, credential=Held(sys.stdin.read()), connection_verify=ca)
    return sorted(container.name for container in service.list_containers())


MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = b'{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}'


def images(ca, authority, tenant, client, registry, audience, action, repository):
    credential = ClientSecretCredential(tenant, client, sys.stdin.read(), **entra(ca, authority))
    with ContainerRegistryClient(registry, credential, audience=audience, connection_verify=ca) as registry:
        if action == "pull":
            return registry.get_manifest(repository, "vendor").manifest["config"]["digest"]
        if action == "delete":
            return registry.delete_manifest(repository, "vendor")
        if action == "tags":
            return sorted((tag.name, tag.digest) for tag in registry.list_tag_properties(repository))
        if action == "manifests":
            return sorted((one.digest, one.tags) for one in registry.list_manifest_properties(repository))
        if action == "catalog":
            return sorted(registry.list_repository_names())
        digest, size = registry.upload_blob(repository, io.BytesIO(CONFIG))
        config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": size}
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}
        registry.set_manifest(repository, manifest, tag="vendor")
        return digest


def http(ca, method, url):
    request = urllib.request.Request(url, method=method, headers={"Authorization": f"Bearer {sys.stdin.read()}"})
    try:
        with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=ca)) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


COMMANDS = {
    "seed": seed, "assertion": assertion, "wrong": wrong, "federated": federated, "machine": machine, "door": door, "sas": sas,
    "sas-env": sas_env, "blobs": blobs, "images": images, "http": http,
}


def main():
    ca, command, *arguments = sys.argv[1:]
    try:
        print(json.dumps({"ok": COMMANDS[command](ca, *arguments)}))
    except (HttpResponseError, ClientAuthenticationError) as error:
        code = getattr(error, "error_code", None)
        print(json.dumps({"error": str(getattr(code, "value", code) or type(error).__name__)}))


main()
