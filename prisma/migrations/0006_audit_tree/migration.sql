-- The log's hash tree (RFC 9162): its right edge beside the head, and the roots of whole subtrees over 2^8, 2^16 … records.
ALTER TABLE "audit_head" ADD COLUMN "edge" BYTEA NOT NULL DEFAULT '';

CREATE TABLE "audit_tree" (
    "level" SMALLINT NOT NULL,
    "index" BIGINT NOT NULL,
    "hash" BYTEA NOT NULL,
    CONSTRAINT "audit_tree_pkey" PRIMARY KEY ("level", "index")
);

-- Checkpoints are signed notes over the tree's root from here on.
DELETE FROM "audit_checkpoint";
ALTER TABLE "audit_checkpoint" DROP COLUMN "hash", DROP COLUMN "jws", ADD COLUMN "note" TEXT NOT NULL;
