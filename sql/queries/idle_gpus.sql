-- How much of each pool nobody held, by day, and what that cost; the share is of the GPU-hours whose use is known.
SELECT pool, date_trunc('day', period_start) AS day,
    sum(CASE WHEN kind = 'idle' THEN gpu_hours ELSE 0 END) AS idle_gpu_hours,
    sum(CASE WHEN kind = 'idle' THEN gpu_hours ELSE 0 END) / nullif(sum(CASE WHEN kind = 'unknown' THEN 0 ELSE gpu_hours END), 0) AS idle_share,
    sum(CASE WHEN kind = 'idle' THEN cost_micro_usd ELSE 0 END) / 1e6 AS idle_usd
FROM costs_current
GROUP BY 1, 2
ORDER BY day DESC, idle_usd DESC
