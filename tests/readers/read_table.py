"""read_table.py URI [--endpoint URL --key KEY --secret SECRET]: prints the rows of a Delta table as JSON lines, read
with delta-rs."""

import argparse

import deltalake

import canonical

args = argparse.ArgumentParser()
args.add_argument("uri")
args.add_argument("--endpoint")
args.add_argument("--key")
args.add_argument("--secret")
a = args.parse_args()

options = {}
if a.endpoint:
    options = {
        "AWS_ENDPOINT_URL": a.endpoint,
        "AWS_ACCESS_KEY_ID": a.key,
        "AWS_SECRET_ACCESS_KEY": a.secret,
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
    }
table = deltalake.DeltaTable(a.uri, storage_options=options)
canonical.print_rows(table.to_pyarrow_table().to_pylist())
canonical.end()
