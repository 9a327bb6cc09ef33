"""Amazon Athena as a query engine. This room alone speaks to AWS; import `engine` only where a table is Athena's, since
boto3 takes a third of a second to load."""
