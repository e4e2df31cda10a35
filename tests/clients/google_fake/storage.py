"""Cloud Storage of the fake Google: the JSON API that google-cloud-storage speaks, and boundaries that bite.

A boundary's condition is read by the grammar below and nothing else: what it cannot read is refused at the exchange.
"""

import email.parser
import email.policy
import json
import re
import zlib
from base64 import b64encode
from hashlib import md5

from cloud import AUTH, CLOUD_PLATFORM, READ_ONLY, api_no, denied, oauth_no

RULES_MAX = 10
EXPRESSION_MAX = 2048
VIEWER = {"storage.objects.get", "storage.objects.list"}
USER = VIEWER | {"storage.objects.create", "storage.objects.delete", "storage.objects.update"}
ADMIN = USER | {"storage.objects.getIamPolicy", "storage.objects.setIamPolicy"}
ROLES = {
    "inRole:roles/storage.objectViewer": VIEWER,
    "inRole:roles/storage.objectUser": USER,
    "inRole:roles/storage.objectAdmin": ADMIN,
}
BUCKET = re.compile(r"//storage\.googleapis\.com/projects/_/buckets/([a-z0-9._-]{3,222})")
TEXT = r"'([^'\\]*)'"
CLAUSES = [
    ("same", re.compile(r"resource\.name == " + TEXT)),
    ("starts", re.compile(r"resource\.name\.startsWith\(" + TEXT + r"\)")),
    ("lists", re.compile(
        r"api\.getAttribute\('storage\.googleapis\.com/objectListPrefix', ''\)\.startsWith\(" + TEXT + r"\)")),
]
READS = [CLOUD_PLATFORM, READ_ONLY] + [AUTH + "devstorage." + one for one in ("read_only", "read_write", "full_control")]
WRITES = [CLOUD_PLATFORM] + [AUTH + "devstorage." + one for one in ("read_write", "full_control")]


def rules(boundary):
    """The rules of an accessBoundary, or a refusal."""
    found = boundary.get("accessBoundaryRules") if isinstance(boundary, dict) else None
    if not isinstance(found, list) or not 1 <= len(found) <= RULES_MAX or set(boundary) != {"accessBoundaryRules"}:
        raise oauth_no("invalid_request", "An access boundary has 1 to 10 rules.")
    return [rule(one) for one in found]


def rule(one):
    extra = set(one) - {"availableResource", "availablePermissions", "availabilityCondition"}
    bucket = BUCKET.fullmatch(one.get("availableResource", ""))
    roles = one.get("availablePermissions") or []
    if extra or not bucket or not roles or not set(roles) <= set(ROLES):
        raise oauth_no("invalid_request", "Invalid access boundary rule.")
    condition = one.get("availabilityCondition")
    clauses = None
    if condition is not None:
        expression = condition.get("expression", "")
        if len(expression) > EXPRESSION_MAX or set(condition) - {"expression", "title", "description"}:
            raise oauth_no("invalid_request", "Invalid availability condition.")
        clauses = [clause(text.strip()) for text in expression.split("||")]
    return bucket.group(1), set().union(*(ROLES[role] for role in roles)), clauses


def clause(text):
    for kind, grammar in CLAUSES:
        found = grammar.fullmatch(text)
        if found:
            return kind, found.group(1)
    raise oauth_no("invalid_request", "Invalid availability condition.")


def holds(clauses, name, listed):
    tests = {"same": lambda text: name == text, "starts": name.startswith, "lists": listed.startswith}
    return clauses is None or any(tests[kind](text) for kind, text in clauses)


def allow(cloud, token, permission, bucket, name=None, listed=""):
    """Both must allow it: the identity's own rights, and the boundary if there is one."""
    whole = f"projects/_/buckets/{bucket}" + (f"/objects/{name}" if name is not None else "")
    within = token.rules is None or any(
        own == bucket and permission in left and holds(clauses, whole, listed) for own, left, clauses in token.rules
    )
    if permission not in cloud.rights(token) or not within:
        raise denied(permission)


def bucket_of(cloud, name):
    if name not in cloud.buckets:
        raise api_no(404, "NOT_FOUND", "The specified bucket does not exist.")
    return cloud.buckets[name]


def buckets(cloud, query, headers):
    token = cloud.bearer(headers, READS)
    if token.rules is not None or "storage.buckets.list" not in cloud.rights(token):
        raise denied("storage.buckets.list")
    names, following = cloud.page(sorted(cloud.buckets), query, "maxResults", 1000)
    items = [{"kind": "storage#bucket", "id": name, "name": name} for name in names]
    return {"kind": "storage#buckets", "items": items} | ({"nextPageToken": following} if following else {})


def objects(cloud, bucket, query, headers):
    token = cloud.bearer(headers, READS)
    prefix = query.get("prefix", "")
    allow(cloud, token, "storage.objects.list", bucket, listed=prefix)
    kept = bucket_of(cloud, bucket)
    names, following = cloud.page(sorted(n for n in kept if n.startswith(prefix)), query, "maxResults", 1000)
    items = [resource(bucket, name, kept[name]) for name in names]
    return {"kind": "storage#objects", "items": items} | ({"nextPageToken": following} if following else {})


def get(cloud, bucket, name, query, headers):
    token = cloud.bearer(headers, READS)
    allow(cloud, token, "storage.objects.get", bucket, name)
    kept = bucket_of(cloud, bucket)
    if name not in kept:
        raise api_no(404, "NOT_FOUND", f"No such object: {bucket}/{name}")
    return kept[name] if query.get("alt") == "media" else resource(bucket, name, kept[name])


def policy(cloud, bucket, name, headers):
    token = cloud.bearer(headers, WRITES)
    allow(cloud, token, "storage.objects.getIamPolicy", bucket, name)
    return {"kind": "storage#policy", "bindings": []}


def delete(cloud, bucket, name, headers):
    token = cloud.bearer(headers, WRITES)
    allow(cloud, token, "storage.objects.delete", bucket, name)
    if bucket_of(cloud, bucket).pop(name, None) is None:
        raise api_no(404, "NOT_FOUND", f"No such object: {bucket}/{name}")
    return None


def insert(cloud, bucket, query, headers, body):
    token = cloud.bearer(headers, WRITES)
    name, content = query.get("name"), body
    if query.get("uploadType") == "multipart":
        head = f"content-type: {headers['content-type']}\r\n\r\n".encode()
        parts = list(email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body).iter_parts())
        name = json.loads(parts[0].get_payload(decode=True))["name"]
        content = parts[1].get_payload(decode=True)
    allow(cloud, token, "storage.objects.create", bucket, name)
    kept = bucket_of(cloud, bucket)
    if name in kept:
        # Replacing is deleting.
        allow(cloud, token, "storage.objects.delete", bucket, name)
    kept[name] = content
    return resource(bucket, name, content)


def resource(bucket, name, content):
    return {
        "kind": "storage#object", "id": f"{bucket}/{name}/1", "name": name, "bucket": bucket, "generation": "1",
        "size": str(len(content)), "md5Hash": b64encode(md5(content).digest()).decode(), "storageClass": "STANDARD",
        "contentType": "text/plain", "etag": f"e{zlib.crc32(content)}",
    }
