"""Unmodified boto3 as a command: one call, one JSON line, an exit code.

usage: aws.py [--credentials FILE] [--endpoint URL] [--region R] [--ca FILE] COMMAND [ARGUMENT ...]

Credentials come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or from a JSON file
(`access_key_id` or `AccessKeyId`, and so on; `-` is stdin). Endpoint, region and CA fall back to AWS_ENDPOINT_URL,
AWS_REGION and AWS_CA_BUNDLE.

Prints {"ok": true, "value": ...} and exits 0, or {"ok": false, "status": 403, "code": "AccessDenied", "message": ...}
and exits 3 when the server refused. Any other failure is a traceback and exit 1.
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

REFUSED = 3
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


def parse_arguments():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--credentials")
    parser.add_argument("--endpoint", default=os.environ.get("AWS_ENDPOINT_URL"))
    parser.add_argument("--region", default=os.environ.get("AWS_REGION", "us-east-1"))
    parser.add_argument("--ca", default=os.environ.get("AWS_CA_BUNDLE"))
    parser.add_argument("command", choices=sorted(COMMANDS))
    parser.add_argument("arguments", nargs="*")
    return parser.parse_args()


def read_credentials(path):
    if path is None:
        return {}
    with sys.stdin if path == "-" else open(path, encoding="utf-8") as file:
        found = json.load(file)

    def field(snake, camel):
        return found.get(snake, found.get(camel))

    return {
        "aws_access_key_id": field("access_key_id", "AccessKeyId"),
        "aws_secret_access_key": field("secret_access_key", "SecretAccessKey"),
        "aws_session_token": field("session_token", "SessionToken"),
    }


class Aws:
    def __init__(self, options):
        self.options = options
        self.session = boto3.session.Session(region_name=options.region, **read_credentials(options.credentials))

    def client(self, service):
        config = Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}, signature_version="v4" if service != "s3" else "s3v4")
        return self.session.client(service, endpoint_url=self.options.endpoint, verify=self.options.ca, config=config)

    def eks(self):
        """moto in IAM mode hashes a body-less GET wrongly unless the payload hash is signed as a header."""
        client = self.client("eks")
        client.meta.events.register("before-sign.eks.*", lambda request, **_: request.headers.add_header("X-Amz-Content-SHA256", EMPTY_SHA256))
        return client


def whoami(aws):
    return aws.client("sts").get_caller_identity()["Arn"]


def assume_role(aws, role_arn, session_name, policy="", duration="3600"):
    extra = {"Policy": policy} if policy else {}
    answer = aws.client("sts").assume_role(RoleArn=role_arn, RoleSessionName=session_name, DurationSeconds=int(duration), **extra)
    return answer["Credentials"]


def federate(aws, name, policy="", duration="3600"):
    extra = {"Policy": policy} if policy else {}
    return aws.client("sts").get_federation_token(Name=name, DurationSeconds=int(duration), **extra)["Credentials"]


def seed(aws, plan):
    """PLAN is {"bucket": ["key", ...]}; every object's body is its own key."""
    s3 = aws.client("s3")
    for bucket, keys in json.loads(plan).items():
        s3.create_bucket(Bucket=bucket)
        for key in keys:
            s3.put_object(Bucket=bucket, Key=key, Body=key.encode())


def list_buckets(aws):
    return sorted(bucket["Name"] for bucket in aws.client("s3").list_buckets()["Buckets"])


def list_objects(aws, bucket, prefix=""):
    return [found["Key"] for found in aws.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]


def get_object(aws, bucket, key):
    return aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()


def put_object(aws, bucket, key, body="x"):
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=body.encode())


def put_multipart(aws, bucket, key):
    s3 = aws.client("s3")
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload=parts)


def delete_object(aws, bucket, key):
    aws.client("s3").delete_object(Bucket=bucket, Key=key)


def ecr_login(aws):
    return aws.client("ecr").get_authorization_token()["authorizationData"][0]


def ecr_repositories(aws):
    return [repository["repositoryUri"] for repository in aws.client("ecr").describe_repositories()["repositories"]]


def eks_clusters(aws):
    return aws.eks().list_clusters()["clusters"]


def eks_cluster(aws, name):
    return aws.eks().describe_cluster(name=name)["cluster"]


def new_user(aws, name, policy=""):
    iam = aws.client("iam")
    iam.create_user(UserName=name)
    if policy:
        iam.put_user_policy(UserName=name, PolicyName="inline", PolicyDocument=policy)
    return new_key(aws, name)


def new_key(aws, name):
    return aws.client("iam").create_access_key(UserName=name)["AccessKey"]


def delete_key(aws, name, key_id):
    aws.client("iam").delete_access_key(UserName=name, AccessKeyId=key_id)


def list_keys(aws, name):
    return sorted(key["AccessKeyId"] for key in aws.client("iam").list_access_keys(UserName=name)["AccessKeyMetadata"])


def age_session(aws, signing_key, seconds):
    """The given session as it would be SECONDS from now, re-signed with the signing key of SeaweedFS's iam.json."""
    session = aws.session.get_credentials()
    head, body, _ = session.token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    for name in ("exp", "nbf", "iat"):
        claims[name] -= int(seconds)
    signed = head + "." + unpadded(json.dumps(claims, separators=(",", ":")).encode())
    signature = hmac.new(base64.b64decode(signing_key), signed.encode(), hashlib.sha256).digest()
    token = signed + "." + unpadded(signature)
    return {"AccessKeyId": session.access_key, "SecretAccessKey": session.secret_key, "SessionToken": token, "ExpiresIn": claims["exp"] - int(time.time())}


def unpadded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


COMMANDS = {
    name.replace("_", "-"): function
    for name, function in list(globals().items())
    if name
    in (
        "whoami assume_role federate seed list_buckets list_objects get_object put_object put_multipart delete_object "
        "ecr_login ecr_repositories eks_clusters eks_cluster new_user new_key delete_key list_keys age_session"
    ).split()
}


def main():
    options = parse_arguments()
    try:
        value = COMMANDS[options.command](Aws(options), *options.arguments)
    except ClientError as refusal:
        # SeaweedFS and moto sometimes answer in another service's error shape; then the code is at the top, or absent.
        answer = refusal.response
        error = answer.get("Error", answer)
        status = answer["ResponseMetadata"]["HTTPStatusCode"]
        print(json.dumps({"ok": False, "status": status, "code": error.get("Code"), "message": error.get("Message")}))
        return REFUSED
    print(json.dumps({"ok": True, "value": value}, default=str))
    return 0


if __name__ == "__main__":
    sys.exit(main())
