-- How each playbook fared: past runs from elsewhere, and verified outcomes of our own executions.
SELECT playbook_id, count(*) AS uses,
    sum(CASE WHEN effect = 'effective' THEN 1 ELSE 0 END) AS effective,
    sum(CASE WHEN effect = 'ineffective' THEN 1 ELSE 0 END) AS ineffective,
    sum(CASE WHEN effect = 'harmful' THEN 1 ELSE 0 END) AS harmful,
    sum(CASE WHEN effect IS NULL OR effect NOT IN ('effective', 'ineffective', 'harmful') THEN 1 ELSE 0 END) AS unknown,
    max(at) AS last_used
FROM (
    SELECT playbook_id, outcome AS effect, coalesce(finished_at, started_at, updated_at) AS at FROM workflow_runs WHERE playbook_id IS NOT NULL
    UNION ALL
    SELECT playbook_id, effect, recorded_at FROM outcomes_current
)
GROUP BY playbook_id
ORDER BY uses DESC, playbook_id
