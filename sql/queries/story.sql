-- The whole story in one row: signal → incident → recommendation → decision → approval → execution → outcome → cost → lineage → endpoint.
-- One row for each signal of an incident, endpoint that it affects, and plan. What did not happen is null.
WITH cost AS (
    -- What the endpoint cost in the hours that the incident touched.
    SELECT n.incident_id, n.endpoint, sum(c.gpu_hours) AS gpu_hours, sum(c.cost_micro_usd) / 1e6 AS usd
    FROM incident_endpoints n
    JOIN incidents_current i ON i.incident_id = n.incident_id
    JOIN costs_current c ON c.endpoint = n.endpoint
        AND c.period_end > i.opened_at AND c.period_start <= coalesce(i.closed_at, i.last_at)
    GROUP BY n.incident_id, n.endpoint
),
made AS (
    -- The job that wrote the endpoint's model, and what it read.
    SELECT e.endpoint, w.job_namespace || ':' || w.job_name AS made_by,
        string_agg(DISTINCT r.dataset_namespace || ':' || r.dataset_name, ', ' ORDER BY r.dataset_namespace || ':' || r.dataset_name) AS made_from
    FROM endpoints_current e
    JOIN run_io_current w ON w.flow = 'output' AND w.dataset_namespace || '/' || w.dataset_name = e.model_uri
    LEFT JOIN run_io_current r ON r.flow = 'input' AND r.run_id = w.run_id
    GROUP BY e.endpoint, w.job_namespace, w.job_name
),
recommended AS (
    SELECT recommendation_id, incident_id, best_playbook_id, best_score, abstained,
        row_number() OVER (PARTITION BY incident_id ORDER BY recorded_at DESC) AS age,
        row_number() OVER (PARTITION BY recommendation_id ORDER BY recorded_at DESC) AS copy
    FROM recommendations
)
SELECT
    s.signal_id, s.rule, s.hint, s.score AS signal_score,
    i.incident_id, i.title, i.severity, i.root, i.opened_at, i.closed_at,
    r.best_playbook_id AS recommended, r.best_score AS recommendation_score, r.abstained,
    p.plan_id, p.target, d.tier, d.unattended,
    a.approver, a.role AS approved_as, a.approved, a.recorded_at AS approved_at,
    x.execution_id, x.state AS execution_state, x.detail AS execution_detail,
    o.effect, o.detail AS outcome_detail,
    c.gpu_hours, c.usd,
    m.made_by, m.made_from,
    n.endpoint, e.model_uri, e.min_replicas, e.max_replicas
FROM incidents_current i
JOIN incident_signals g ON g.incident_id = i.incident_id
JOIN signals_current s ON s.signal_id = g.signal_id
LEFT JOIN plans_current p ON p.incident_id = i.incident_id
LEFT JOIN recommended r ON r.incident_id = i.incident_id
    AND CASE WHEN p.plan_id IS NULL THEN r.age = 1 ELSE r.recommendation_id = p.recommendation_id AND r.copy = 1 END
LEFT JOIN decisions_current d ON d.plan_id = p.plan_id
LEFT JOIN approvals_current a ON a.plan_id = p.plan_id
LEFT JOIN executions_current x ON x.plan_id = p.plan_id
LEFT JOIN outcomes_current o ON o.execution_id = x.execution_id
LEFT JOIN incident_endpoints n ON n.incident_id = i.incident_id
LEFT JOIN endpoints_current e ON e.endpoint = n.endpoint
LEFT JOIN cost c ON c.incident_id = i.incident_id AND c.endpoint = n.endpoint
LEFT JOIN made m ON m.endpoint = n.endpoint
ORDER BY o.effect IS NULL, x.state IS NULL, i.opened_at DESC, i.incident_id, p.plan_id, s.signal_id, n.endpoint
