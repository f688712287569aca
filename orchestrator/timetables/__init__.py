"""Pure rules from a schedule to data intervals and due times."""

from orchestrator.timetables.build import read_date as read_date
from orchestrator.timetables.build import timetable_for as timetable_for
from orchestrator.timetables.build import zone_named as zone_named
from orchestrator.timetables.timetable import Past as Past
from orchestrator.timetables.timetable import Timetable as Timetable
from orchestrator.timetables.words import due_in_words as due_in_words
from orchestrator.timetables.words import interval_in_words as interval_in_words
