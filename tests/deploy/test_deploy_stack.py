"""The stack, as far as moto makes one: names, tables, bucket, and that the stores of this repository fit them.

Not shown here: IAM, KMS, Lambda's own versions, aliases and URLs. docs/deploy.md lists what only AWS can show.
"""

import time
from collections.abc import Mapping
from typing import Any

import boto3
from tests.deploy.stack import REGION, Deployed

from cordboard.edge.stores import stage_addresses
from cordboard.storage.addresses import open_claims, open_secrets, open_storage


def test_every_name_has_its_stage(deployed: Deployed) -> None:
    assert deployed.ids["StorageTable"] == "cordboard-prod"
    assert deployed.ids["ClaimsTable"] == "cordboard-prod-claims"
    assert deployed.ids["Logs"] == "/cordboard/prod/functions"
    parameter = boto3.client("ssm", REGION).get_parameter(Name=deployed.outputs["FunctionNames"])["Parameter"]
    assert (parameter["Name"], parameter["Type"]) == ("/cordboard/prod/functions/line-agent", "StringList")
    assert parameter["Value"].split(",") == [
        "cordboard-prod-call-alerting",
        "cordboard-prod-http-request",
        "cordboard-prod-websocket-close",
    ]


def test_the_functions_find_their_stores_and_keys_put_finds_the_same(deployed: Deployed) -> None:
    variables = deployed.variables["CallAlerting"]
    addresses = stage_addresses("prod", None)
    assert variables == {"CORDBOARD_STORAGE": addresses.storage}
    assert deployed.variables["Webhook"] == {
        **variables,
        "CORDBOARD_SECRETS": addresses.secrets,
        "CORDBOARD_CLAIMS": "dynamodb:cordboard-prod-claims",
    }
    with open_secrets(addresses.secrets, time.time) as secrets:
        secrets.put("CARTESIA_API_KEY", "key")
        with open_storage(variables["CORDBOARD_STORAGE"], time.time, is_secret=secrets.is_secret) as storage:
            storage.put("k:1", "v", 60)
            assert storage.keys("k") == ["k:1"]
    with open_claims(deployed.variables["Webhook"]["CORDBOARD_CLAIMS"], time.time) as claims:
        claims.take("k", 10)
        assert claims.take("k", 10) == "busy"


def test_the_bucket_is_encrypted(deployed: Deployed) -> None:
    s3 = boto3.client("s3", REGION)
    bucket = deployed.outputs["RecordingsBucket"]
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"


def test_what_expires_is_deleted_and_the_bucket_is_private(template: Mapping[str, Any]) -> None:
    """Of these properties moto's stacks know nothing."""
    resources = {name: each["Properties"] for name, each in template["Resources"].items()}
    for table in ("StorageTable", "ClaimsTable"):
        assert resources[table]["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    bucket = resources["Recordings"]
    kept, given_up = bucket["LifecycleConfiguration"]["Rules"]
    assert (kept["Prefix"], kept["ExpirationInDays"]) == ("recordings/", {"Ref": "RecordingDays"})
    assert given_up["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert resources["Logs"]["RetentionInDays"] == {"Ref": "LogDays"}


def test_the_transform_publishes_each_function_and_lets_only_the_webhook_be_reached(
    template: Mapping[str, Any],
) -> None:
    resources = template["Resources"]
    kinds = [resource["Type"] for resource in resources.values()]
    assert (kinds.count("AWS::Lambda::Version"), kinds.count("AWS::Lambda::Alias")) == (4, 4)
    assert [name for name, each in resources.items() if each["Type"] == "AWS::Lambda::Url"] == ["WebhookUrl"]
    allowed = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::Lambda::Permission"]
    assert {each["FunctionName"]["Ref"] for each in allowed} == {"WebhookAliaslive"}
    assert sorted(each["Action"] for each in allowed) == ["lambda:InvokeFunction", "lambda:InvokeFunctionUrl"]


def test_no_policy_of_ours_is_wider_than_what_it_names(template: Mapping[str, Any]) -> None:
    """A star stands only behind a name: a version of a function, a secret of a stage, an object below a prefix."""
    resources = template["Resources"]
    statements = []
    for resource in resources.values():
        properties = resource["Properties"]
        documents = [properties["PolicyDocument"]] if resource["Type"] == "AWS::IAM::ManagedPolicy" else []
        documents += [each["PolicyDocument"] for each in properties.get("Policies", ())]
        statements += [statement for document in documents for statement in document["Statement"]]
    assert len(statements) == 8
    for statement in statements:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        listed = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        assert not any("*" in action for action in actions)
        for resource in listed:
            text = resource.get("Fn::Sub") or str(resource)
            assert "*" not in text or text.endswith(("}:*", "/secrets/*", "/recordings/*"))
