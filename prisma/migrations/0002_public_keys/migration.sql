-- AlterTable
ALTER TABLE "node" ADD COLUMN     "host_keys" JSONB NOT NULL DEFAULT '[]';

-- AlterTable
ALTER TABLE "credential" ADD COLUMN     "key_fingerprint" TEXT,
ADD COLUMN     "public_key" BYTEA,
ADD COLUMN     "serial" BIGINT;

-- CreateIndex
CREATE UNIQUE INDEX "credential_serial_key" ON "credential"("serial");

-- CreateIndex
CREATE INDEX "credential_key_fingerprint_idx" ON "credential"("key_fingerprint");

