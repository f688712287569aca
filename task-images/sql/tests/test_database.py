import database
import pytest


def test_what_a_connection_leaves_open_is_postgresqls_default() -> None:
    told = database.parameters({"host": "db", "login": "me", "password": "secret"}, None)
    assert (told["port"], told["dbname"]) == (5432, "postgres")


def test_a_database_may_be_another_than_the_connections() -> None:
    told = {"host": "db", "port": 5433, "schema": "shop"}
    assert database.parameters(told, None)["dbname"] == "shop"
    assert database.parameters(told, "other")["dbname"] == "other"


def test_columns_stand_as_in_the_first_record() -> None:
    assert database.columns_of([{"b": 1, "a": 2}, {"a": 3, "b": 4}]) == ("b", "a")
    assert database.columns_of([]) == ()


def test_records_must_have_the_same_names() -> None:
    with pytest.raises(ValueError, match="record 1"):
        database.columns_of([{"a": 1}, {"a": 1, "b": 2}])


def test_a_name_is_quoted_whatever_it_holds() -> None:
    statement = database.copy_into('a"; drop table b', ["x", "y"]).as_string(None)
    assert statement == 'COPY "a""; drop table b" ("x", "y") FROM STDIN'
