"""A queue for the streams' tests."""

from __future__ import annotations

import pytest

from tests.aws import Aws


@pytest.fixture
def queue(aws: Aws) -> str:
    """The URL of a queue."""
    return str(aws.client("sqs").create_queue(QueueName="landed")["QueueUrl"])
