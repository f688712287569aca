SELECT pg_advisory_xact_lock(1);  -- two runs may come here at one time, and one of them makes the table

CREATE TABLE IF NOT EXISTS page_views (
    page text,
    hour timestamptz,
    views integer NOT NULL,
    PRIMARY KEY (page, hour)
);

INSERT INTO page_views (page, hour, views)
VALUES
{%- for page, views in result("count_views").items() %}
    ({{ page | sql_quote }}, {{ ts | sql_quote }}, {{ views | int }}){{ "" if loop.last else "," }}
{%- endfor %}
ON CONFLICT (page, hour) DO UPDATE SET views = excluded.views;
