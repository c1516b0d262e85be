"""Which checker watches the annotations of course_lib while the tests run (see pyproject.toml)."""

from beartype import BeartypeConf, beartype

# Where a float is asked for, an int will do, as everywhere in Python.
typecheck = beartype(conf=BeartypeConf(is_pep484_tower=True))
