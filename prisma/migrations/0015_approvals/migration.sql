-- Approvals that ask others after a time, that rest on an earlier one, or that others may rest on; comments.
ALTER TABLE "approval" ADD COLUMN "asked_groups" TEXT[] NOT NULL DEFAULT '{}';
ALTER TABLE "approval" ADD COLUMN "escalated" JSONB NOT NULL DEFAULT '[]';
ALTER TABLE "approval" ADD COLUMN "escalate_at" TIMESTAMPTZ(6);
ALTER TABLE "approval" ADD COLUMN "rests_on" UUID;
ALTER TABLE "vote" ADD COLUMN "remember_seconds" INTEGER;
UPDATE "approval" a SET "asked_groups" = ARRAY(
    SELECT DISTINCT g FROM jsonb_array_elements(a."requirements") r, jsonb_array_elements_text(r -> 'groups') g
);
CREATE INDEX "approval_asked_groups_idx" ON "approval" USING GIN ("asked_groups");
CREATE INDEX "approval_escalate_at_idx" ON "approval" ("escalate_at");

CREATE TABLE "remembered_approval" (
    "approval_id" UUID NOT NULL,
    "scope" TEXT NOT NULL,
    "session_id" UUID NOT NULL,
    "identity_kind" TEXT NOT NULL,
    "identity" TEXT NOT NULL,
    "target" TEXT NOT NULL,
    "requirements_key" TEXT NOT NULL,
    "command_key" TEXT NOT NULL,
    "documents_key" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "ended_at" TIMESTAMPTZ(6),
    "ended_by" TEXT,
    "end_reason" TEXT,
    "uses" INTEGER NOT NULL DEFAULT 0,
    "used_at" TIMESTAMPTZ(6),
    CONSTRAINT "remembered_approval_pkey" PRIMARY KEY ("approval_id"),
    CONSTRAINT "remembered_approval_approval_id_fkey" FOREIGN KEY ("approval_id") REFERENCES "approval" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE INDEX "remembered_approval_identity_target_idx" ON "remembered_approval" ("identity", "target", "expires_at");

CREATE TABLE "approval_comment" (
    "id" UUID NOT NULL,
    "approval_id" UUID NOT NULL,
    "user" TEXT NOT NULL,
    "text" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    CONSTRAINT "approval_comment_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "approval_comment_approval_id_fkey" FOREIGN KEY ("approval_id") REFERENCES "approval" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE INDEX "approval_comment_approval_id_idx" ON "approval_comment" ("approval_id", "id");
