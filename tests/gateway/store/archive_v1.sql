-- The archive as schema version 1 had it.
CREATE TABLE events (
    id INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    stream_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    kind TEXT NOT NULL,
    customer_number BIGINT NOT NULL,
    app TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    model TEXT NOT NULL,
    served_model TEXT,
    provider TEXT NOT NULL,
    upstream TEXT NOT NULL,
    status TEXT NOT NULL,
    status_code INTEGER NOT NULL,
    error_code TEXT,
    stream BOOLEAN NOT NULL,
    cost_pico BIGINT NOT NULL,
    charge_pico BIGINT NOT NULL,
    hold_pico BIGINT NOT NULL,
    unpriced BOOLEAN NOT NULL,
    markup_ppm BIGINT NOT NULL,
    latency_ms BIGINT,
    first_token_ms BIGINT,
    finish_reason TEXT,
    source TEXT,
    price_id TEXT,
    book_version TEXT,
    upstream_request_id TEXT,
    input_tokens BIGINT NOT NULL,
    cached_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    reasoning_tokens BIGINT NOT NULL,
    unresolved_pico BIGINT NOT NULL,
    metadata TEXT,
    details TEXT NOT NULL,
    PRIMARY KEY (id),
    UNIQUE (partition, stream_id)
);
CREATE INDEX events_by_customer ON events (customer_number, at_ms);
CREATE INDEX events_by_model ON events (model, at_ms);
CREATE INDEX events_by_request ON events (request_id);
CREATE INDEX events_by_status ON events (status, at_ms);
CREATE INDEX events_by_time ON events (at_ms);
PRAGMA user_version = 1;
