"""Reading calls of Lambda, whose names end in the version of the API: `UpdateFunctionCode20150331v2`."""

from lib.cloudtrail import parameters


def function(record):
    """The name of the function that a call is about, which may have been given as an ARN and with a version."""
    named = str(parameters(record).get("functionName") or "").rpartition(":function:")[2]
    return named.partition(":")[0] or "an unknown function"
