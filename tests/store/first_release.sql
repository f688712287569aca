-- Rows as the first release wrote them, in its schema (0001).
INSERT INTO deployment (one, deployment_id) VALUES (1, '0123abcd');
INSERT INTO dag_versions (dag_id, version, spec, created_at) VALUES ('d', 'v1',
    '{"dag_id":"d","file":"d.py","params":{"top":5,"deep":{"default":[1]}},"tasks":[{"task_id":"a","params":{"x":null},"container":{"image":"tools"}}]}',
    1);
INSERT INTO dags (dag_id, version, file, paused, active, last_start, last_end) VALUES ('d', 'v1', 'd.py', 0, 1, 10, 20);
INSERT INTO runs (dag_id, run_id, run_type, state, version, interval_start, interval_end, conf, actor, images,
                  created_at, started_at)
    VALUES ('d', 'scheduled__1', 'scheduled', 'running', 'v1', 10, 20, '{}', 'scheduler', '{}', 30, 31);
INSERT INTO task_instances (dag_id, run_id, task_id, map_index, state, tries, failures, losses)
    VALUES ('d', 'scheduled__1', 'a', -1, 'running', 2, 1, 0);
INSERT INTO tries (dag_id, run_id, task_id, map_index, number, try_id, epoch, spec, intended_at, ended_at, outcome,
                   reason, adopted, log_complete, removed_at)
    VALUES ('d', 'scheduled__1', 'a', -1, 1, 'one', 1, '{"name":"orc-1","image":"sha256:1","image_name":"tools"}', 40,
            41, 'failed', '{"code":"exit_code","text":"it exited with 1"}', 0, 1, 42);
INSERT INTO tries (dag_id, run_id, task_id, map_index, number, try_id, epoch, spec, intended_at, adopted, log_complete)
    VALUES ('d', 'scheduled__1', 'a', -1, 2, 'two', 1, '{"name":"orc-1","image":"sha256:1","image_name":"tools"}', 50,
            0, 0);
INSERT INTO pools (name, slots) VALUES ('db', 3);
