-- What stands for people in audit events. One row for each identifier; all of a person's name the row that holds the person's key.
CREATE TABLE "person_key" (
    "pseudonym" TEXT NOT NULL,
    "person" TEXT NOT NULL,
    "attribute" BOOLEAN NOT NULL,
    "lookup" BYTEA,
    "sealed" BYTEA,
    "wrapped_key" BYTEA,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "erased_at" TIMESTAMPTZ(6),
    "erased_by" TEXT,
    "reason" TEXT,
    CONSTRAINT "person_key_pkey" PRIMARY KEY ("pseudonym")
);
CREATE UNIQUE INDEX "person_key_lookup_key" ON "person_key" ("lookup");
CREATE INDEX "person_key_person_idx" ON "person_key" ("person");

-- A hold on a person is a hold on what stands for the person, too.
ALTER TABLE "legal_hold" ADD COLUMN "pseudonym" TEXT;
