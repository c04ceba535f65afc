-- People who sign in at an identity provider, and their browsers.
CREATE TABLE "account" (
    "id" UUID NOT NULL,
    "provider" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "email" TEXT,
    "display_name" TEXT,
    "claims" JSONB NOT NULL,
    "refresh" BYTEA,
    "signed_in_at" TIMESTAMPTZ(6) NOT NULL,
    "refreshed_at" TIMESTAMPTZ(6) NOT NULL,
    "gone_at" TIMESTAMPTZ(6),
    CONSTRAINT "account_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "account_provider_subject_key" ON "account" ("provider", "subject");
CREATE INDEX "account_name_idx" ON "account" ("name");

CREATE TABLE "web_session" (
    "id" UUID NOT NULL,
    "account_id" UUID NOT NULL,
    "user" TEXT NOT NULL,
    "secret_hash" BYTEA NOT NULL,
    "previous_hash" BYTEA,
    "rotated_at" TIMESTAMPTZ(6) NOT NULL,
    "csrf" TEXT NOT NULL,
    "sid" TEXT,
    "id_token" BYTEA,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "seen_at" TIMESTAMPTZ(6) NOT NULL,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "ended_at" TIMESTAMPTZ(6),
    "end_reason" TEXT,
    CONSTRAINT "web_session_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "web_session_account_id_fkey" FOREIGN KEY ("account_id") REFERENCES "account" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "web_session_user_idx" ON "web_session" ("user");
CREATE INDEX "web_session_account_id_idx" ON "web_session" ("account_id");
