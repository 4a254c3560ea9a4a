-- The transactional outbox: events are inserted in the transaction that changes the facts; the relay sends
-- them to Kafka afterwards and then sets published_at.

CREATE TABLE outbox (
    id           bigserial PRIMARY KEY,
    topic        text NOT NULL,
    -- The Kafka key (the visitor). Rows of one (topic, key) are sent in id order.
    key          text NOT NULL,
    event_id     text NOT NULL,
    event_time   timestamptz NOT NULL,
    -- text, not jsonb: jsonb reorders the fields, and readers are fastest on the order we write.
    payload      text NOT NULL,
    headers      jsonb NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz
);

-- Ids come from a sequence and may commit out of order, so the relay looks for unpublished rows and never
-- for "id greater than the last one". This index holds only those rows and stays small.
CREATE INDEX outbox_unpublished_idx ON outbox (id) WHERE published_at IS NULL;
CREATE INDEX outbox_published_at_idx ON outbox (published_at) WHERE published_at IS NOT NULL;

-- Wakes the relay at commit, whoever inserts. The relay polls too; this only makes it quick.
CREATE FUNCTION outbox_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('plamatio_outbox', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER outbox_notify AFTER INSERT ON outbox
    FOR EACH STATEMENT EXECUTE FUNCTION outbox_notify();
