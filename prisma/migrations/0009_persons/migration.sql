-- The log names people by pseudonyms. What they stand for is here, encrypted with a key for each person: without the key nobody can tell any more.
CREATE TABLE "person" (
    "id" UUID NOT NULL,
    "sealed_key" BYTEA,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "erased_at" TIMESTAMPTZ(6),
    CONSTRAINT "person_pkey" PRIMARY KEY ("id")
);

CREATE TABLE "person_identifier" (
    "pseudonym" TEXT NOT NULL,
    "person_id" UUID NOT NULL,
    "lookup" BYTEA,
    "sealed" BYTEA,
    CONSTRAINT "person_identifier_pkey" PRIMARY KEY ("pseudonym"),
    CONSTRAINT "person_identifier_person_id_fkey" FOREIGN KEY ("person_id") REFERENCES "person" ("id") ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE UNIQUE INDEX "person_identifier_lookup_key" ON "person_identifier" ("lookup");
CREATE INDEX "person_identifier_person_id_idx" ON "person_identifier" ("person_id");
