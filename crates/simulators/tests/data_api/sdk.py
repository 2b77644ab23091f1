"""Calls the Data API with botocore, and tells what it has understood as JSON."""

import json
import os
import sys

import botocore.config
import botocore.exceptions
import botocore.session

once = botocore.config.Config(retries={"total_max_attempts": 1})
client = botocore.session.Session().create_client("rds-data", config=once)
cluster = {"resourceArn": os.environ["RESOURCE"], "secretArn": os.environ["SECRET"]}
target = {**cluster, "database": "app"}


def execute(sql, **members):
    return client.execute_statement(sql=sql, **target, **members)


def plain(value):
    """Bytes in hexadecimal, and numbers that JSON lacks in words."""
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and value - value != 0:
        return str(value)
    return value


def refused(call):
    try:
        call()
    except botocore.exceptions.ClientError as error:
        kind = type(error).__name__
        return f"{kind} {error.response['Error']['Code']}" if kind == "ClientError" else kind
    return "accepted"


values = "1, 'NaN'::float8, '\\x00ff'::bytea, NULL, ARRAY['a', NULL]"
selected = execute(f"SELECT {values}", includeResultMetadata=True)
given = [
    {"name": "b", "value": {"blobValue": b"\x00\xff"}},
    {"name": "d", "value": {"doubleValue": float("inf")}},
    {"name": "t", "value": {"booleanValue": True}},
]
echoed = execute("SELECT :b, :d, :t", parameters=given)
transaction = client.begin_transaction(**target)["transactionId"]
within = {"transactionId": transaction}
execute("CREATE TABLE heard_by_botocore (i int)", **within)
counted = execute("INSERT INTO heard_by_botocore VALUES (1), (2)", **within)
batch = client.batch_execute_statement(
    sql="INSERT INTO heard_by_botocore VALUES (:i)",
    parameterSets=[[{"name": "i", "value": {"longValue": 3}}]],
    **target,
    **within,
)
committed = client.commit_transaction(**cluster, **within)

heard = {
    "records": selected["records"],
    "labels": [column["label"] for column in selected["columnMetadata"]],
    "echo": echoed["records"],
    "counted": counted["numberOfRecordsUpdated"],
    "batch": batch["updateResults"],
    "committed": committed["transactionStatus"],
    "again": refused(lambda: client.commit_transaction(**cluster, **within)),
    "relation": refused(lambda: execute("SELECT * FROM nowhere")),
    "interval": refused(lambda: execute("SELECT interval '1 day'")),
    "infinity": refused(lambda: execute("SELECT 'infinity'::date")),
    "several": refused(lambda: execute("SELECT 1; SELECT 2")),
}
json.dump(plain(heard), sys.stdout)
