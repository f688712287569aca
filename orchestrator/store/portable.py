"""Column types of every database alike; revisions use them too, so what they mean is never changed."""

from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

#: Text that sorts by code points everywhere, as Python sorts it: pages are cut in both.
TEXT = Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
