"""Furnishes a fresh moto server with an account, then turns its IAM mode on: from then on every call needs rights.

usage: moto_account.py ENDPOINT
prints one JSON object: {"admin": {"id", "secret"}, "broker": {...}, "stranger": {...}, "role_arn": "..."}
"""

import json
import sys
import urllib.request

import boto3

REGIONS = ("us-east-1", "eu-west-1")
REPOSITORIES = ("team/model", "team/base")
CLUSTER = "train"
# A region of its own, so that lists have pages there and nothing changes elsewhere.
PAGED_REGION, PAGED_CLUSTERS = "eu-north-1", ("one", "two", "three")
BUCKETS = ("datasets", "models")
ROLE = "ml-data"
BROKER_RIGHTS = ["sts:*", "ecr:*", "eks:*", "s3:*"]
ROLE_RIGHTS = ["ecr:*", "eks:*", "s3:*"]


def main(endpoint):
    def client(service, region=REGIONS[0]):
        return boto3.client(service, endpoint_url=endpoint, region_name=region, aws_access_key_id="furnish", aws_secret_access_key="furnish")

    iam = client("iam")
    account = {
        "admin": new_user(iam, "admin", allow(["*"])),
        "broker": new_user(iam, "broker", allow(BROKER_RIGHTS)),
        "stranger": new_user(iam, "stranger", None),
        "role_arn": new_role(iam),
    }
    for region in REGIONS:
        for repository in REPOSITORIES:
            client("ecr", region).create_repository(repositoryName=repository)
        new_cluster(client("eks", region), CLUSTER, account["role_arn"])
    for cluster in PAGED_CLUSTERS:
        new_cluster(client("eks", PAGED_REGION), cluster, account["role_arn"])
    for bucket in BUCKETS:
        client("s3").create_bucket(Bucket=bucket)
    turn_iam_mode_on(endpoint)
    print(json.dumps(account))


def allow(actions):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]})


def new_user(iam, name, policy):
    iam.create_user(UserName=name)
    if policy:
        iam.put_user_policy(UserName=name, PolicyName="inline", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}


def new_role(iam):
    broker = iam.get_user(UserName="broker")["User"]["Arn"]
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": broker}, "Action": "sts:AssumeRole"}]}
    arn = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=ROLE, PolicyName="inline", PolicyDocument=allow(ROLE_RIGHTS))
    return arn


def new_cluster(eks, name, role_arn):
    network = {"subnetIds": ["subnet-1"], "securityGroupIds": []}
    eks.create_cluster(name=name, roleArn=role_arn, resourcesVpcConfig=network)


def turn_iam_mode_on(endpoint):
    request = urllib.request.Request(endpoint + "/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"})
    urllib.request.urlopen(request).read()


if __name__ == "__main__":
    main(sys.argv[1])
