SELECT "user", count(*) AS events
FROM {{ "no_such_table" if params.fail_export else "events" }}
GROUP BY "user"
ORDER BY events DESC, "user"
