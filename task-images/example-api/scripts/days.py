"""What happened on a day, or in an hour: drawn from a seed that is the day itself, so it never changes."""

import gzip
import hashlib
from datetime import UTC, date, datetime, timedelta
from random import Random

MOVIES, VIEWERS = 12, 40
PAGES = ("Amazon", "Apple", "Facebook", "Google", "Microsoft", "Rain", "Umbrella")
MARKETS = {"harbour": 3, "hill": 5, "park": 4, "station": 8}
PRODUCTS = ("bread", "cheese", "milk", "soap")


def ratings(day: date) -> list[dict[str, float]]:
    """A few more than two pages of them, in the order of their times, which lie within the day."""
    chance = Random(f"ratings {day}")  # noqa: S311 - data, not a secret
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    times = sorted(chance.randrange(86_400) for _ in range(200 + chance.randrange(60)))
    return [
        {
            "movie": chance.randint(1, MOVIES),
            "user": chance.randint(1, VIEWERS),
            "rating": chance.randint(1, 10) / 2,
            "timestamp": midnight + seconds,
        }
        for seconds in times
    ]


def events(day: date) -> list[dict[str, str]]:
    """Clicks of some users, who go by their addresses."""
    chance = Random(f"events {day}")  # noqa: S311 - data, not a secret
    users = [f"10.0.{chance.randrange(256)}.{chance.randrange(256)}" for _ in range(8)]
    return [{"date": day.isoformat(), "user": chance.choice(users)} for _ in range(60 + chance.randrange(40))]


def pageviews(hour: datetime) -> bytes:
    """How often pages were viewed in an hour, per language: lines as Wikipedia publishes them, compressed."""
    chance = Random(f"pageviews {hour:%Y%m%d-%H}")  # noqa: S311 - data, not a secret
    lines = [f"{code} {page} {chance.randrange(1, 500)} 0\n" for code in ("de", "en", "fr") for page in PAGES]
    return gzip.compress("".join(lines).encode(), mtime=0)


def vulnerabilities(day: date) -> list[dict[str, str | float]]:
    """All that were published by the end of a day of its year; new ones appear on Mondays."""
    mondays = (date(day.year, 1, 1) + timedelta(days=number) for number in range(day.timetuple().tm_yday))
    found = []
    for monday in (each for each in mondays if each.weekday() == 0):
        chance = Random(f"vulnerabilities {monday}")  # noqa: S311 - data, not a secret
        number = chance.randint(1000, 9999)
        severity = chance.randint(10, 100) / 10
        found.append({"id": f"CVE-{day.year}-{number}", "published": monday.isoformat(), "severity": severity})
    return found


def digest(feed: bytes) -> str:
    return hashlib.sha256(feed).hexdigest()


def sales(market: str, day: date) -> list[dict[str, str | int]]:
    """What a market sold of each product."""
    chance = Random(f"sales {market} {day}")  # noqa: S311 - data, not a secret
    return [
        {"market": market, "product": each, "sold": MARKETS[market] * chance.randint(1, 20)} for each in PRODUCTS
    ]
