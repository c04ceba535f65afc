-- What a request that creates something answered, so that repeating it creates nothing twice. Replies may hold secrets: sealed.
CREATE TABLE "idempotency" (
  "principal" TEXT NOT NULL,
  "route" TEXT NOT NULL,
  "key" TEXT NOT NULL,
  "request_sha256" TEXT NOT NULL,
  "reply" BYTEA,
  "created_at" TIMESTAMPTZ(6) NOT NULL,
  "expires_at" TIMESTAMPTZ(6) NOT NULL,
  CONSTRAINT "idempotency_pkey" PRIMARY KEY ("principal", "route", "key")
);

CREATE INDEX "idempotency_expires_at_idx" ON "idempotency" ("expires_at");
