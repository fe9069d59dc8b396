-- Receivers that hear of pushes and builds, what is to be delivered to them, and how each attempt went.
CREATE TABLE receiver (
  id {id}, repository_id BIGINT NOT NULL REFERENCES repository (id), kind TEXT NOT NULL, profile TEXT NOT NULL,
  name TEXT NOT NULL, url TEXT NOT NULL, active BIGINT NOT NULL, settings TEXT NOT NULL, secrets BYTEA,
  health TEXT NOT NULL, made_by TEXT NOT NULL, created_ms BIGINT NOT NULL, updated_ms BIGINT NOT NULL,
  removed_ms BIGINT);
CREATE INDEX receiver_repository ON receiver (repository_id) WHERE removed_ms IS NULL;
CREATE TABLE delivery (
  id {id}, uid TEXT NOT NULL UNIQUE, receiver_id BIGINT NOT NULL REFERENCES receiver (id),
  event_id BIGINT REFERENCES event (id), kind TEXT NOT NULL, summary TEXT NOT NULL, ordering BIGINT,
  state TEXT NOT NULL, attempts BIGINT NOT NULL, due_ms BIGINT NOT NULL, leased_since_ms BIGINT,
  leased_until_ms BIGINT, ending TEXT, ended_ms BIGINT, last_answer TEXT, created_ms BIGINT NOT NULL);
CREATE INDEX delivery_open ON delivery (receiver_id, id) WHERE state <> 'ended';
CREATE INDEX delivery_receiver ON delivery (receiver_id, id);
CREATE INDEX delivery_event ON delivery (event_id) WHERE event_id IS NOT NULL;
CREATE TABLE delivery_body (
  delivery_id BIGINT PRIMARY KEY REFERENCES delivery (id), content_type TEXT NOT NULL, headers TEXT NOT NULL,
  body BYTEA NOT NULL);
CREATE TABLE delivery_attempt (
  id {id}, delivery_id BIGINT NOT NULL REFERENCES delivery (id), number BIGINT NOT NULL, began_ms BIGINT NOT NULL,
  duration_ms BIGINT NOT NULL, address TEXT NOT NULL, request_headers TEXT NOT NULL, status BIGINT,
  response_headers TEXT NOT NULL, response_body BYTEA NOT NULL, answer TEXT NOT NULL, timings TEXT NOT NULL);
CREATE INDEX delivery_attempt_delivery ON delivery_attempt (delivery_id, id);
