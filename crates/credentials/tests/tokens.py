"""Signs tokens with botocore: a JSON list of cases in, a JSON list of tokens out."""

import datetime
import json
import sys

import botocore.auth
import botocore.session


def clock_at(time):
    frozen = datetime.datetime.fromtimestamp(time, datetime.timezone.utc)
    # Where botocore reads the clock for a signature. A test whose patch no longer holds fails: the
    # dates differ.
    botocore.auth.get_current_datetime = lambda remove_tzinfo=True: (
        frozen.replace(tzinfo=None) if remove_tzinfo else frozen
    )


def client(service, case):
    return session.create_client(
        service,
        region_name=case["region"],
        aws_access_key_id=case["key"],
        aws_secret_access_key=case["secret"],
        aws_session_token=case["session"],
    )


def token(case):
    clock_at(case["time"])
    host, region = case["host"], case["region"]
    if case["kind"] == "rds":
        return client("rds", case).generate_db_auth_token(host, case["port"], case["user"], region)
    dsql = client("dsql", case)
    if case["user"] == "admin":
        return dsql.generate_db_connect_admin_auth_token(host, region)
    return dsql.generate_db_connect_auth_token(host, region)


session = botocore.session.Session()
json.dump([token(case) for case in json.load(sys.stdin)], sys.stdout)
