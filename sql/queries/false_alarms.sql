-- What people said of incidents, by the rule of their signals: where to raise a line, and where it serves.
SELECT s.rule, s.method, count(DISTINCT i.incident_id) AS incidents,
    count(DISTINCT CASE WHEN l.label = 'incident' THEN i.incident_id END) AS said_real,
    count(DISTINCT CASE WHEN l.label = 'not-an-incident' THEN i.incident_id END) AS said_false
FROM incidents_current i
JOIN incident_signals g ON g.incident_id = i.incident_id
JOIN signals_current s ON s.signal_id = g.signal_id
LEFT JOIN labels_current l ON l.subject_id = i.incident_id
GROUP BY s.rule, s.method
ORDER BY said_false DESC, incidents DESC, s.rule
