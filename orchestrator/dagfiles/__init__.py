"""DAG files: finding and watching them, and the server in whose children they are parsed and rendered."""
