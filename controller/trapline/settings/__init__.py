"""trapline.yml: the tables, destinations, packs, schedule and limits of a detections repository."""

from trapline.settings.model import FILE_NAME as FILE_NAME
from trapline.settings.model import DestinationSettings as DestinationSettings
from trapline.settings.model import InferenceSettings as InferenceSettings
from trapline.settings.model import PruneSettings as PruneSettings
from trapline.settings.model import ScheduleSettings as ScheduleSettings
from trapline.settings.model import Settings as Settings
from trapline.settings.packs import PackSettings as PackSettings
from trapline.settings.read import SettingsError as SettingsError
from trapline.settings.read import load as load
from trapline.settings.read import parse as parse
from trapline.settings.tables import AthenaSettings as AthenaSettings
from trapline.settings.tables import BudgetSettings as BudgetSettings
from trapline.settings.tables import IcebergSettings as IcebergSettings
from trapline.settings.tables import StreamSettings as StreamSettings
from trapline.settings.tables import TableSettings as TableSettings
