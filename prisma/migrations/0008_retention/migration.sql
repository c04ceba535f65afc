-- What stays of a deleted event: its place in the log's chain and tree, and in its session's chain. Signed, run by run.
CREATE TABLE "event_tombstone" (
    "position" BIGINT NOT NULL,
    "hash" BYTEA NOT NULL,
    "source" TEXT NOT NULL,
    "source_seq" BIGINT,
    "kind" TEXT NOT NULL,
    "session_id" UUID,
    "link" INTEGER,
    "head" TEXT,
    "run" UUID NOT NULL,
    CONSTRAINT "event_tombstone_pkey" PRIMARY KEY ("position")
);
CREATE INDEX "event_tombstone_session_id_idx" ON "event_tombstone" ("session_id");

CREATE TABLE "legal_hold" (
    "id" UUID NOT NULL,
    "reason" TEXT NOT NULL,
    "session_id" UUID,
    "identity" TEXT,
    "target" TEXT,
    "from_time" TIMESTAMPTZ(6),
    "to_time" TIMESTAMPTZ(6),
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "released_by" TEXT,
    "released_at" TIMESTAMPTZ(6),
    CONSTRAINT "legal_hold_pkey" PRIMARY KEY ("id")
);
