-- Plans that wait for a person, the longest first: what they would do, why they wait, and the digest that an approval names.
SELECT x.recorded_at AS since, x.plan_id, p.digest, x.service, x.playbook_id, p.target,
    json_get(p.body, 'steps.0.summary') AS first_step, x.detail AS why, d.approvers, i.title AS incident
FROM executions_current x
JOIN plans_current p ON p.plan_id = x.plan_id
LEFT JOIN decisions_current d ON d.plan_id = x.plan_id
LEFT JOIN incidents_current i ON i.incident_id = x.incident_id
WHERE x.state = 'awaiting_approval'
ORDER BY since
