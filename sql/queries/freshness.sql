-- How much there is of each metric, and how many minutes its newest sample lies behind the newest of all.
SELECT metric, count(DISTINCT series_id) AS series, count(*) AS samples, min(ts) AS oldest, max(ts) AS newest,
    (extract(epoch FROM (SELECT max(ts) FROM samples)) - extract(epoch FROM max(ts))) / 60 AS minutes_behind
FROM metric_samples
GROUP BY metric
ORDER BY minutes_behind DESC, metric
