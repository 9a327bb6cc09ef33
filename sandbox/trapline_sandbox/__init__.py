"""What runs inside every worker: the record, the rule, the wire. Standard library only, nothing of ours."""
