-- The key of each session's recording, wrapped by a key-encryption key. Without it the recording can't be read any more.
CREATE TABLE "recording" (
    "session_id" UUID NOT NULL,
    "kek" TEXT NOT NULL,
    "wrapped_key" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    CONSTRAINT "recording_pkey" PRIMARY KEY ("session_id")
);

-- Parts of recordings, encrypted. `data` is null where they lie in another store.
CREATE TABLE "recording_part" (
    "session_id" UUID NOT NULL,
    "first_seq" BIGINT NOT NULL,
    "last_seq" BIGINT NOT NULL,
    "sha256" TEXT NOT NULL,
    "store" TEXT NOT NULL,
    "data" BYTEA,
    "bytes" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    CONSTRAINT "recording_part_pkey" PRIMARY KEY ("session_id", "first_seq", "last_seq")
);
