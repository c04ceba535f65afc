-- CreateTable
CREATE TABLE "sink_state" (
    "name" TEXT NOT NULL,
    "position" BIGINT NOT NULL,
    "owner" TEXT,
    "owned_until" TIMESTAMPTZ(6),
    "sent" BIGINT NOT NULL DEFAULT 0,
    "failures" INTEGER NOT NULL DEFAULT 0,
    "failing_since" TIMESTAMPTZ(6),
    "failing_told_at" TIMESTAMPTZ(6),
    "last_error" TEXT,
    "last_error_at" TIMESTAMPTZ(6),
    "last_sent_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "sink_state_pkey" PRIMARY KEY ("name")
);

-- CreateTable
CREATE TABLE "sink_dead_letter" (
    "sink" TEXT NOT NULL,
    "position" BIGINT NOT NULL,
    "code" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "attempts" INTEGER NOT NULL DEFAULT 1,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "tried_at" TIMESTAMPTZ(6) NOT NULL,
    "retry_asked_at" TIMESTAMPTZ(6),

    CONSTRAINT "sink_dead_letter_pkey" PRIMARY KEY ("sink","position")
);
