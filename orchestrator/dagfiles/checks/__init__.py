"""The rules over DAG files (spec authoring 2): `book` names them all, `every` applies those over parsed DAGs."""
