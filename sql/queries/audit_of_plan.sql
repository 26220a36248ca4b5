-- Everything the audit chain says of the newest plan that was executed, in order.
SELECT a.sequence, a.at, a.actor, a.action, json_get(a.detail, 'state') AS state, json_get(a.detail, 'why') AS why, a.digest
FROM audit_logs a
WHERE a.subject = (SELECT execution_id FROM executions WHERE state = 'executing' ORDER BY recorded_at DESC, execution_id LIMIT 1)
ORDER BY a.sequence
