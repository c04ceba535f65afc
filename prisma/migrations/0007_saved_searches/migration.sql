CREATE TABLE "saved_search" (
    "owner" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "shared" BOOLEAN NOT NULL,
    "query" JSONB NOT NULL,
    "updated_at" TIMESTAMPTZ(6) NOT NULL,
    CONSTRAINT "saved_search_pkey" PRIMARY KEY ("owner", "name")
);
