-- Events are stored by the month in which they were received: a month that nobody needs any more goes as a whole, and a
-- question about some days reads some months. Partitions are made ahead by the control plane (audit_month); what none of
-- them takes goes to the default one, so that nothing is ever refused.
CREATE EXTENSION IF NOT EXISTS btree_gin;

ALTER TABLE "event" RENAME TO "event_before";
ALTER TABLE "event_before" RENAME CONSTRAINT "event_pkey" TO "event_before_pkey";

CREATE TABLE "event" (
    "position" BIGINT NOT NULL,
    "id" UUID NOT NULL,
    "time" TIMESTAMPTZ(6) NOT NULL,
    "received_at" TIMESTAMPTZ(6) NOT NULL,
    "source" TEXT NOT NULL,
    "source_seq" BIGINT,
    "kind" TEXT NOT NULL,
    "session_id" UUID,
    "command" INTEGER,
    "identity" TEXT,
    "target" TEXT,
    "actions" TEXT[],
    "objects" TEXT[],
    "decision" TEXT,
    "rule" TEXT,
    "words" TEXT,
    "body" TEXT NOT NULL,
    "prev_hash" BYTEA NOT NULL,
    "hash" BYTEA NOT NULL,

    CONSTRAINT "event_pkey" PRIMARY KEY ("position", "received_at")
) PARTITION BY RANGE ("received_at");

CREATE TABLE "event_default" PARTITION OF "event" DEFAULT;

-- Makes the partition of the month in which the given moment lies, if it isn't there and the default one holds nothing of it.
CREATE FUNCTION audit_month(moment timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  first timestamptz := date_trunc('month', moment, 'UTC');
  next timestamptz := date_trunc('month', first + interval '32 days', 'UTC');
  name text := 'event_' || to_char(first AT TIME ZONE 'UTC', 'YYYY_MM');
BEGIN
  IF to_regclass(name) IS NOT NULL OR EXISTS (SELECT 1 FROM event_default WHERE received_at >= first AND received_at < next) THEN
    RETURN;
  END IF;
  EXECUTE format('CREATE TABLE %I PARTITION OF event FOR VALUES FROM (%L) TO (%L)', name, first, next);
EXCEPTION WHEN duplicate_table THEN
  RETURN;
END $$;

SELECT audit_month(moment) FROM (SELECT DISTINCT date_trunc('month', received_at, 'UTC') AS moment FROM event_before) AS months;

INSERT INTO "event" ("position", id, "time", received_at, source, source_seq, kind, session_id, command, identity, target, actions, objects, decision, rule, words, body, prev_hash, hash)
SELECT "position", id, "time", received_at, source, source_seq, kind, session_id, command, identity, target, actions, objects, decision, rule, NULL, body, prev_hash, hash FROM "event_before";

DROP TABLE "event_before";

-- In order of position, as pages go: what belongs to a session, what an agent sent, and the common single questions.
CREATE INDEX "event_session_id_position_idx" ON "event" ("session_id", "position");
CREATE INDEX "event_source_source_seq_idx" ON "event" ("source", "source_seq");
CREATE INDEX "event_identity_position_idx" ON "event" ("identity", "position");
CREATE INDEX "event_target_position_idx" ON "event" ("target", "position");
CREATE INDEX "event_kind_position_idx" ON "event" ("kind" COLLATE "C", "position");
CREATE INDEX "event_not_allowed_idx" ON "event" ("decision", "position") WHERE "decision" <> 'allow';
-- Questions with several conditions, of which each fits many records and all together few.
CREATE INDEX "event_facets_idx" ON "event" USING GIN ("identity", "target", "decision", "actions", "objects");
-- Records come nearly in order of time: a few hundred bytes for each gigabyte.
CREATE INDEX "event_time_idx" ON "event" USING BRIN ("time") WITH (pages_per_range = 32);
CREATE INDEX "event_words_idx" ON "event" USING GIN (to_tsvector('simple'::regconfig, "words"));
-- What was received long after it happened: questions about a time look at the months of that time, and at these.
CREATE INDEX "event_late_idx" ON "event" ("position") WHERE "received_at" - "time" > interval '1 day';
