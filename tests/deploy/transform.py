"""Run by the SAM CLI's Python: the transform that CloudFormation applies to a template of `sam build`, as JSON."""

import json
import sys

from samtranslator.translator.transform import transform  # type: ignore[import-not-found] # not of .venv
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-not-found]


class NoManagedPolicies:
    """The translator asks for names of AWS's own policies; the template writes its own."""

    def load(self) -> dict[str, str]:
        return {}


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        template = yaml_parse(file.read())
    for name, resource in template["Resources"].items():  # `sam package` puts addresses in S3 here
        properties = resource.get("Properties", {})
        for key in ("CodeUri", "ContentUri"):
            if isinstance(properties.get(key), str):
                properties[key] = f"s3://artefacts/{name}"
    template["Globals"]["Function"].pop("CodeUri", None)
    json.dump(transform(template, {"AWS::Region": "eu-west-1"}, NoManagedPolicies()), sys.stdout)


main()
