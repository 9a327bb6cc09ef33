"""What would keep Jira from taking an issue, as far as can be seen without creating one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from trapline_plugins.jira_api import JiraApi, as_dict, as_dicts

_PERMISSIONS = {
    "BROWSE_PROJECTS": "browse projects",
    "CREATE_ISSUES": "create issues",
    "EDIT_ISSUES": "edit issues",
    "ADD_COMMENTS": "add comments",
    "TRANSITION_ISSUES": "transition issues",
}
_WE_SET = ("project", "issuetype", "summary", "description", "labels")


def what_is_wrong(api: JiraApi, *, project: str, issue_type: str, priorities: Collection[str]) -> str | None:
    """The first thing that is; None where nothing is. Raises JiraError where Jira does not tell."""
    api.get("myself")
    types = as_dicts(api.get(f"project/{project}", {"expand": "issueTypes"}).get("issueTypes"))
    ids = {str(kind.get("name")): str(kind.get("id")) for kind in types}
    if issue_type not in ids:
        return f"the project {project} has no issue type {issue_type!r}, but: {', '.join(ids)}"
    asked = {"projectKey": project, "permissions": ",".join(_PERMISSIONS)}
    has = as_dict(api.get("mypermissions", asked).get("permissions"))
    missing = [what for name, what in _PERMISSIONS.items() if not as_dict(has.get(name)).get("havePermission")]
    if missing:
        return f"the user may not {', '.join(missing)} in the project {project}"
    screen = api.get(f"issue/createmeta/{project}/issuetypes/{ids[issue_type]}", {"maxResults": "200"})
    fields = {str(field.get("fieldId")): field for field in as_dicts(screen.get("fields"))}
    return next(_wrong_fields(fields, issue_type, priorities), None)


def _wrong_fields(
    fields: Mapping[str, Mapping[str, Any]], issue_type: str, priorities: Collection[str]
) -> Iterator[str]:
    """What is wrong with the screen on which such an issue is created."""
    we_set = (*_WE_SET, *(["priority"] if priorities else []))
    if absent := [name for name in we_set if name not in fields]:
        yield f"on the screen to create a {issue_type!r} there is no field for: {', '.join(absent)}"
    demanded = [
        str(field.get("name"))
        for name, field in fields.items()
        if field.get("required") and not field.get("hasDefaultValue") and name not in we_set
    ]
    if demanded:
        yield f"a {issue_type!r} must have fields that Trapline does not set: {', '.join(demanded)}"
    offered = [str(value.get("name")) for value in as_dicts(fields.get("priority", {}).get("allowedValues"))]
    if unknown := [priority for priority in priorities if priority not in offered]:
        yield f"a {issue_type!r} has no priority {unknown[0]!r}, but: {', '.join(offered)}"
