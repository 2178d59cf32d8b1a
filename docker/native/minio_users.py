"""Buckets and users of a MinIO server: the lake's and MLflow's, each user in its own bucket only.

As a program it takes all from the environment: MINIO_ADDRESS (host:port), LAKE_BUCKET, and the
names of docker/.env. Doing it again changes nothing but the users' keys.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from minio import Minio, MinioAdmin
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException, S3Error
from urllib3.exceptions import HTTPError

MLFLOW_BUCKET = "mlflow"


def provide(address: str, lake_bucket: str, keys: Mapping[str, str]) -> None:
    """Make what is missing. Raises S3Error, MinioAdminException or urllib3's HTTPError."""
    root = StaticProvider(keys["MINIO_ROOT_USER"], keys["MINIO_ROOT_PASSWORD"])
    client = Minio(endpoint=address, credentials=root, secure=False)
    admin = MinioAdmin(endpoint=address, credentials=root, secure=False)
    for bucket, prefix in ((lake_bucket, "LUIGI_TRAFFIC__LAKE__"), (MLFLOW_BUCKET, "MLFLOW_S3_")):
        if not client.bucket_exists(bucket_name=bucket):
            client.make_bucket(bucket_name=bucket)
        user = keys[f"{prefix}ACCESS_KEY"]
        admin.policy_add(policy_name=bucket, policy=policy(bucket))
        admin.user_add(user, keys[f"{prefix}SECRET_KEY"])
        admin.policy_set(bucket, user=user)


def policy(bucket: str) -> dict[str, Any]:
    """All that a pipeline does with objects, in one bucket."""
    on_bucket = ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"]
    on_objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    on_objects += ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": on_bucket, "Resource": [f"arn:aws:s3:::{bucket}"]},
            {"Effect": "Allow", "Action": on_objects, "Resource": [f"arn:aws:s3:::{bucket}/*"]},
        ],
    }


def main() -> None:
    """Exit status 1 with one message where it cannot be done."""
    address, bucket = os.environ["MINIO_ADDRESS"], os.environ["LAKE_BUCKET"]
    try:
        provide(address, bucket, os.environ)
    except (S3Error, MinioAdminException, HTTPError) as error:
        sys.exit(f"MinIO at {address}: buckets and users cannot be made: {error}")
    sys.stdout.write(f"buckets {bucket} and {MLFLOW_BUCKET} are there, each with its user\n")


if __name__ == "__main__":
    main()
