CREATE TABLE "lock" (
    "id" UUID NOT NULL,
    "kind" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "expires_at" TIMESTAMPTZ(6),
    "released_by" TEXT,
    "released_at" TIMESTAMPTZ(6),
    CONSTRAINT "lock_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "lock_kind" CHECK ("kind" IN ('user', 'workload', 'target', 'agent'))
);
-- What stands is asked for with every session that is opened; what is over is only read in lists.
CREATE INDEX "lock_standing" ON "lock"("kind", "name") WHERE "released_at" IS NULL;
