"""Pure rules from a schedule to data intervals and due times."""

from orchestrator.timetables.build import take_over as take_over
from orchestrator.timetables.build import timetable_for as timetable_for
from orchestrator.timetables.by_hand import interval_by_hand as interval_by_hand
from orchestrator.timetables.by_hand import read_date as read_date
from orchestrator.timetables.timetable import Past as Past
from orchestrator.timetables.timetable import Timetable as Timetable
from orchestrator.timetables.words import due_in_words as due_in_words
from orchestrator.timetables.words import interval_in_words as interval_in_words
from orchestrator.timetables.words import schedule_in_words as schedule_in_words
from orchestrator.timetables.zones import zone_named as zone_named
