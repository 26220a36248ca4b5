-- What each model cost in the last seven days of the ledger, by its endpoints' share of each pool; idle GPUs are lines of their own.
SELECT coalesce(e.model_uri, CASE c.kind WHEN 'idle' THEN '(idle)' ELSE '(unknown)' END) AS model, c.pool,
    string_agg(DISTINCT c.endpoint, ', ' ORDER BY c.endpoint) AS endpoints,
    sum(c.gpu_hours) AS gpu_hours, sum(c.cost_micro_usd) / 1e6 AS usd
FROM costs_current c
LEFT JOIN endpoints_current e ON e.endpoint = c.endpoint
WHERE c.period_start >= (SELECT max(period_end) FROM costs) - INTERVAL '7 days'
GROUP BY 1, 2
ORDER BY usd DESC, model, c.pool
