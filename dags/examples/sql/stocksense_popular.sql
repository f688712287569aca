-- The hour of the day in which each page was looked at most; of several, the first.
SELECT DISTINCT ON (page) page, to_char(hour AT TIME ZONE 'UTC', 'HH24:MI') AS hour, views
FROM page_views
WHERE (hour AT TIME ZONE 'UTC')::date = {{ ds | sql_quote }}
ORDER BY page, views DESC, hour
