"""What each code of a problem means, for those who see it without its message: in code scanning, and in the reference.

A test holds this against the source: every code that `validate` and `registry check` can say is here.
"""

from __future__ import annotations

from collections.abc import Mapping

MEANINGS: Mapping[str, Mapping[str, str]] = {
    "Files": {
        "byte-order-mark": "The file begins with a byte-order mark. Save it as UTF-8 without one.",
        "config-name": "A detection's config is called detection.yaml, which is not read. Rename it to detection.yml.",
        "empty": "The file says nothing. Fill it in, or delete it.",
        "file-not-read": "A file of a detection is a link, no plain file, or too large: it would run without it.",
        "no-config": "There is a script and no config beside it. Add one with at least `name` and `tables`.",
        "no-script": "There is a config and no script beside it. Add one with a function `detect`.",
        "no-such-module": "The script imports from `lib/` what is not there. Correct the import, or add the file.",
        "not-read": "Something of the repository is not read, such as a submodule.",
        "not-utf8": "The file is not UTF-8. Save it as such.",
        "own-lib": "The detection has a folder `lib` of its own, which hides the repository's. Rename one of them.",
        "too-deep": "The file is nested too deeply. Flatten it.",
        "too-large": "The file, or what it stands for, is too large. Move data out of it.",
        "two-configs": "The folder has both detection.yml and detection.toml. Keep one of the two formats.",
    },
    "Configs": {
        "above-ceiling": "A limit is above what `sandbox.ceiling` in trapline.yml allows. Lower it.",
        "duplicate-id": "Two detections have the same id. Give each its own.",
        "duplicate-key": "A key is given twice. Keep one of the two.",
        "duplicate-name": "Two detections have the same name. Give each its own.",
        "invalid-value": "A value is not of the kind that its key takes.",
        "invalid-where": "`query.where` is not one condition in Athena's SQL.",
        "misplaced-key": "A key stands at the top level and belongs to a group. It is read; move it.",
        "missing-key": "A key is missing that must be given.",
        "no-mapping": "The file is no mapping of keys to values.",
        "toml-syntax": "The file is not valid TOML.",
        "toml-value": "A value in the file cannot be read as TOML.",
        "unknown-destination": "A destination is named that trapline.yml does not have.",
        "unknown-key": "A key is not known, and ignored. It is often a misspelled one.",
        "unknown-table": "A table is named that trapline.yml does not have.",
        "yaml-documents": "The file holds several YAML documents. Keep one.",
        "yaml-recursion": "A YAML alias stands for something that contains itself. Write the value out.",
        "yaml-syntax": "The file is not valid YAML.",
        "yaml-tab": "The file is indented with tabs, which YAML does not allow. Use spaces.",
        "yaml-value": "A value in the file cannot be read as YAML.",
    },
    "Scripts": {
        "async-function": "A function is `async`, and nobody awaits it. Write `def`.",
        "generator": "A function yields where an answer is wanted; a generator is always true. Use `return`.",
        "no-answer": "`detect` never returns or yields anything, and so never matches.",
        "no-detect": "The script defines no function `detect`.",
        "not-checked": "The code is nested too deeply to be looked into. Split long expressions.",
        "python-syntax": "The file is not valid Python.",
        "python-warning": "Python itself warns of something in the file.",
        "undefined-local": "A local variable is used before it has a value.",
        "undefined-name": "A name is used that is nowhere defined. A rule that came to it would fail.",
        "unused-import": "An import is not used. Remove it.",
        "unused-variable": "A variable is not used. Remove it, or use it.",
        "wrong-parameters": "A function that is called with one argument does not take just one.",
    },
    "Advice": {
        "attack-format": "A text in `reports.attack` is no id of MITRE ATT&CK, such as `ta0006:t1110` or `t1110.001`.",
        "attack-tactic": "A technique of ATT&CK is named with a tactic that it is not of.",
        "constant-dedupe": "The dedupe key is the same for every match, so that all become one alert. Build it from "
        "what belongs together, or leave it to the title.",
        "no-stream": "A detection has `realtime`, and of what lands in one of its tables nobody hears: it reads that "
        "table on schedule. Give the table a `stream` in trapline.yml.",
        "none-in-dedupe": 'A value that a record may lack is put into the dedupe key, which then says "None" for all '
        'records without it: strangers become one alert. Give it a default: `... or "unknown"`.',
        "none-in-title": 'A value that a record may lack is put into the title, which then says "None", or fails. '
        'Give it a default: `... or "unknown"`.',
        "realtime-batch": "A rule in real time that takes all records at once is shown what landed together, which is "
        "no window of anything. A match that names no `record` is found again, as another, by the sweep.",
        "retired-attack-id": "ATT&CK has given the technique up, or replaced it with another.",
        "unique-dedupe": "The dedupe key holds what hardly two records share, such as the id of the event, so that no "
        "two matches become one alert, and no threshold above 1 is reached.",
        "unknown-attack-id": "There is no such tactic or technique in the list of ATT&CK that Trapline brings along.",
        "unknown-column": "A rule, a record of a test, or `query.where` names a column that no table of the detection "
        "has. Such a value is never there; of `where`, it is an error once the table was looked up.",
        "unused-parameter": "A function never looks at what it is given, such as the record, and says the same of all. "
        "Say it in the config, or let the parameter's name begin with `_`.",
    },
    "Requirements": {
        "lock": "A line of requirements.lock does not pin one version with hashes. Write it with `trapline lock`.",
        "lock-outdated": "requirements.lock is not what requirements.txt asks for. Write it anew with `trapline lock`. "
        "Only `--resolve` looks.",
        "requirement": "A line of requirements.txt is not taken, or, with `--resolve`, cannot be had.",
    },
    "Packs": {
        "names-destinations": "A detection names destinations, and a pack cannot know those of its users.",
        "needs-network": "A script, something that it brings along, or a requirement is for reaching the network, and "
        "the sandbox has none.",
        "no-attack": "A config has no ids of ATT&CK, by which others find the detection.",
        "no-description": "A config does not say what the detection finds.",
        "no-display-name": "A config has no name for people.",
        "no-false-positives": "A config does not say what else looks like what the detection finds.",
        "no-license-file": "The repository has no text of a licence, so that nobody else may use the pack.",
        "no-manifest": "The repository has no pack.yml at its root.",
        "no-references": "A config links nothing that explains the technique or the events.",
        "no-runbook": "A config does not say what to do about an alert.",
        "no-severity": "A config leaves the severity to the default, and no function says it.",
        "one-sided-tests": "The tests do not show both what the detection finds and what it leaves alone.",
        "schedule-start": "A detection begins at a moment that its author chose.",
        "source-builds": "The requirements of a detection run their build code on the user's controller.",
        "undescribed-table": "pack.yml does not say what a table is like that a detection reads.",
        "unpinned-requirement": "A requirement is neither pinned to one version nor locked.",
        "unread-table": "pack.yml tells of a table that no detection reads.",
        "untested-function": "No test says what `title`, `dedupe` or `severity` answers.",
    },
    "trapline.yml and suppressions.yml": {
        "destination-broken": "A plugin fails to make a destination of settings that are right.",
        "destination-option": "A setting of a destination is wrong.",
        "destination-type": "A destination is of a type that no plugin brings.",
        "invalid-reference": "A reference to a secret is not written as one.",
        "no-athena": "A table is Athena's, and there is no `athena` section.",
        "no-settings": "The repository has no trapline.yml at its root; defaults are used.",
        "secret-not-set": "A secret is referred to that is not set here. It must be where the controller runs.",
        "suppression-expired": "A suppression is over. Renew or remove it.",
        "unknown-catalog": "An Iceberg table names a catalog that trapline.yml does not have.",
        "unknown-detection": "A suppression names a detection that is not there.",
    },
}
"""The codes with their meanings, by what they are about. Other codes are those of pyflakes, named as it names them."""


def meaning(code: str) -> str:
    """What a code means; of one of pyflakes, its name."""
    found = (codes[code] for codes in MEANINGS.values() if code in codes)
    return next(found, f"{code.replace('-', ' ').capitalize()}.")
