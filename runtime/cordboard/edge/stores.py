"""Which stores a configuration means, by their addresses: files of the data folder, or a stage's tables and parameters.

The edge opens them, its workers get them in their environment, and `cordboard keys` writes into them.
"""

from dataclasses import dataclass

from cordboard.config.aws import AwsStorage
from cordboard.config.model import Config
from cordboard.edge.data_dir import DataDir


@dataclass(frozen=True, slots=True)
class StoreAddresses:
    """As `storage.addresses` opens them."""

    storage: str
    """ApplicationStorage."""
    secrets: str
    """Secrets."""


def store_addresses(config: Config, data: DataDir) -> StoreAddresses:
    """What [storage] names."""
    if config.storage.backend == "aws":
        return aws_addresses(config.storage.aws)
    return StoreAddresses(f"sqlite:{data.storage}", f"sqlite:{data.secrets}")


def stage_addresses(stage: str, region: str | None) -> StoreAddresses:
    """What template.yaml makes for a stage."""
    return aws_addresses(AwsStorage(f"/cordboard/{stage}", f"cordboard-{stage}", region))


def aws_addresses(aws: AwsStorage) -> StoreAddresses:
    """What [storage.aws] names."""
    at = "" if aws.region is None else f"@{aws.region}"
    return StoreAddresses(f"dynamodb:{aws.table}{at}", f"ssm:{aws.prefix}/secrets{at}")
