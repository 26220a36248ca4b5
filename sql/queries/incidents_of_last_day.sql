-- Incidents with evidence in the day before the last round, the worst first, with the latest thing that was done about each.
WITH latest AS (
    SELECT incident_id, execution_id, state, row_number() OVER (PARTITION BY incident_id ORDER BY recorded_at DESC, execution_id) AS age
    FROM executions_current
)
SELECT i.severity, i.score, i.title, i.root, i.opened_at, i.closed_at,
    json_get(i.preceding_changes, '0') AS latest_change,
    r.best_playbook_id AS recommended, r.best_score, r.abstained,
    x.state AS execution_state, o.effect, l.label, i.incident_id
FROM incidents_current i
LEFT JOIN recommendations_current r ON r.incident_id = i.incident_id
LEFT JOIN latest x ON x.incident_id = i.incident_id AND x.age = 1
LEFT JOIN outcomes_current o ON o.execution_id = x.execution_id
LEFT JOIN labels_current l ON l.subject_id = i.incident_id
WHERE i.last_at > (SELECT max(as_of) FROM rounds) - INTERVAL '1 day'
ORDER BY CASE i.severity WHEN 'critical' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, i.score DESC, i.incident_id
