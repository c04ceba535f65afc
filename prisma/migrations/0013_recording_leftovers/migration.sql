-- Parts in files and object stores that are to be deleted there: their events are gone, or they were written and never acknowledged.
CREATE TABLE "recording_leftover" (
    "session_id" UUID NOT NULL,
    "first_seq" BIGINT NOT NULL,
    "last_seq" BIGINT NOT NULL,
    "sha256" TEXT NOT NULL,
    "store" TEXT NOT NULL,
    "due_at" TIMESTAMPTZ(6) NOT NULL,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT "recording_leftover_pkey" PRIMARY KEY ("session_id", "first_seq", "last_seq", "sha256")
);
CREATE INDEX "recording_leftover_due_at_idx" ON "recording_leftover" ("due_at");
