from lib.cloudtrail import account, by_service_itself, origin, parameters, region, succeeded, who

SERVICES = {
    "securityhub.amazonaws.com": "Security Hub",
    "inspector2.amazonaws.com": "Inspector",
    "macie2.amazonaws.com": "Macie",
    "access-analyzer.amazonaws.com": "IAM Access Analyzer",
    "detective.amazonaws.com": "Detective",
}
PROVIDERS = tuple(SERVICES)
DISABLES = (
    "DisableSecurityHub",
    "DisableSecurityHubV2",
    "BatchDisableStandards",
    "DisableImportFindingsForProduct",
    "DisassociateFromAdministratorAccount",
    "DisassociateFromMasterAccount",
    "DisableOrganizationAdminAccount",
    "Disable",
    "DisableDelegatedAdminAccount",
    "DisableMacie",
    "UpdateMacieSession",
    "DeleteAnalyzer",
    "DeleteGraph",
    "DisassociateMembership",
    "DisassociateMember",
    "DisassociateMembers",
)


def detect(record):
    return (
        record.deepget("event.provider") in PROVIDERS
        and record.deepget("event.action") in DISABLES
        and not by_service_itself(record)
        and (record.deepget("event.action") != "UpdateMacieSession" or parameters(record).get("status") == "PAUSED")
    )


def title(record):
    tried = "used" if succeeded(record) else "tried to use"
    place = f"{account(record)}, {region(record)}"
    return f"{who(record)} {tried} {record.deepget('event.action')} on {service(record)} in {place}"


def dedupe(record):
    return f"{service(record)} in {account(record)}"


def severity(record):
    return "high" if succeeded(record) else "medium"


def alert_context(record):
    return {"service": service(record), "parameters": parameters(record), **origin(record)}


def service(record):
    return SERVICES[record.deepget("event.provider")]
