-- What was offered and not taken, by source and reason, with an example of where.
SELECT source, reason, count(*) AS pieces, min(place) AS for_example, max(recorded_at) AS latest
FROM rejects_current
GROUP BY source, reason
ORDER BY pieces DESC, source, reason
