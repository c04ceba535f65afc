-- Parameters that a policy keeps out of records are shown to reviewers, and deleted when the approval ends.
ALTER TABLE "approval" ADD COLUMN "forget_parameters" BOOLEAN NOT NULL DEFAULT false;
