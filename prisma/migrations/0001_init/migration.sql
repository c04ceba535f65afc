-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateTable
CREATE TABLE "document" (
    "id" UUID NOT NULL,
    "kind" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "text" TEXT NOT NULL,
    "spec" JSONB NOT NULL,
    "labels" JSONB NOT NULL DEFAULT '{}',
    "author" TEXT NOT NULL,
    "updated_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "document_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "document_version" (
    "id" UUID NOT NULL,
    "kind" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "text" TEXT,
    "author" TEXT NOT NULL,
    "reason" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "document_version_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "key" (
    "id" TEXT NOT NULL,
    "purpose" TEXT NOT NULL,
    "public_part" TEXT,
    "sealed" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "retired_at" TIMESTAMPTZ(6),

    CONSTRAINT "key_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "node" (
    "id" UUID NOT NULL,
    "kind" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "labels" JSONB NOT NULL DEFAULT '{}',
    "public_key" BYTEA NOT NULL,
    "certificate_sha256" TEXT NOT NULL,
    "enrolled_at" TIMESTAMPTZ(6) NOT NULL,
    "revoked_at" TIMESTAMPTZ(6),
    "last_seen_at" TIMESTAMPTZ(6),
    "instance_id" TEXT,
    "instance_lease_at" TIMESTAMPTZ(6),
    "version" TEXT,
    "renew_time" BIGINT,
    "acked_seq" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "node_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "enrolment_token" (
    "id" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "labels" JSONB NOT NULL DEFAULT '{}',
    "secret_hash" BYTEA NOT NULL,
    "created_by" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "used_at" TIMESTAMPTZ(6),

    CONSTRAINT "enrolment_token_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "api_token" (
    "id" TEXT NOT NULL,
    "user" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "secret_hash" BYTEA NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "expires_at" TIMESTAMPTZ(6),
    "revoked_at" TIMESTAMPTZ(6),
    "last_used_at" TIMESTAMPTZ(6),

    CONSTRAINT "api_token_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "credential" (
    "id" UUID NOT NULL,
    "username" TEXT NOT NULL,
    "identity_kind" TEXT NOT NULL,
    "identity" TEXT NOT NULL,
    "groups" JSONB NOT NULL DEFAULT '[]',
    "claims" JSONB NOT NULL DEFAULT '{}',
    "target" TEXT NOT NULL,
    "actor" TEXT,
    "match_hash" TEXT NOT NULL DEFAULT '',
    "salt" BYTEA NOT NULL,
    "iterations" INTEGER NOT NULL,
    "stored_key" BYTEA NOT NULL,
    "server_key" BYTEA NOT NULL,
    "single_use" BOOLEAN NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "used_at" TIMESTAMPTZ(6),
    "revoked_at" TIMESTAMPTZ(6),
    "revoked_by" TEXT,

    CONSTRAINT "credential_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "session" (
    "id" UUID NOT NULL,
    "identity_kind" TEXT NOT NULL,
    "identity" TEXT NOT NULL,
    "groups" JSONB NOT NULL DEFAULT '[]',
    "claims" JSONB NOT NULL DEFAULT '{}',
    "actor" TEXT,
    "credential_id" UUID,
    "target" TEXT NOT NULL,
    "protocol" TEXT NOT NULL,
    "agent_id" UUID NOT NULL,
    "gateway_id" UUID NOT NULL,
    "client_address" TEXT NOT NULL,
    "parameters" JSONB NOT NULL DEFAULT '{}',
    "grant_version" INTEGER NOT NULL DEFAULT 1,
    "policy_hash" TEXT NOT NULL,
    "match_hash" TEXT NOT NULL DEFAULT '',
    "lease_until" TIMESTAMPTZ(6) NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "ended_at" TIMESTAMPTZ(6),
    "end_reason" TEXT,
    "killed_at" TIMESTAMPTZ(6),
    "commands" INTEGER NOT NULL DEFAULT 0,

    CONSTRAINT "session_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "approval" (
    "id" UUID NOT NULL,
    "session_id" UUID NOT NULL,
    "agent_id" UUID NOT NULL,
    "command" TEXT NOT NULL,
    "digest" TEXT NOT NULL,
    "text" TEXT NOT NULL,
    "parameters" JSONB,
    "effects" JSONB NOT NULL,
    "facts" JSONB,
    "requirements" JSONB NOT NULL,
    "state" TEXT NOT NULL,
    "reason" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "decided_at" TIMESTAMPTZ(6),

    CONSTRAINT "approval_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "vote" (
    "id" UUID NOT NULL,
    "approval_id" UUID NOT NULL,
    "user" TEXT NOT NULL,
    "verdict" TEXT NOT NULL,
    "reason" TEXT,
    "groups" JSONB NOT NULL DEFAULT '[]',
    "created_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "vote_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "event" (
    "position" BIGINT NOT NULL,
    "id" UUID NOT NULL,
    "time" TIMESTAMPTZ(6) NOT NULL,
    "received_at" TIMESTAMPTZ(6) NOT NULL,
    "source" TEXT NOT NULL,
    "source_seq" BIGINT,
    "kind" TEXT NOT NULL,
    "session_id" UUID,
    "command" INTEGER,
    "identity" TEXT,
    "target" TEXT,
    "actions" TEXT[],
    "objects" TEXT[],
    "decision" TEXT,
    "rule" TEXT,
    "body" TEXT NOT NULL,
    "prev_hash" BYTEA NOT NULL,
    "hash" BYTEA NOT NULL,

    CONSTRAINT "event_pkey" PRIMARY KEY ("position")
);

-- CreateTable
CREATE TABLE "audit_head" (
    "id" INTEGER NOT NULL,
    "position" BIGINT NOT NULL,
    "hash" BYTEA NOT NULL,

    CONSTRAINT "audit_head_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "audit_checkpoint" (
    "position" BIGINT NOT NULL,
    "hash" BYTEA NOT NULL,
    "jws" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "audit_checkpoint_pkey" PRIMARY KEY ("position")
);

-- CreateTable
CREATE TABLE "agent_link" (
    "agent_id" UUID NOT NULL,
    "gateway_id" UUID NOT NULL,
    "instance_id" TEXT NOT NULL,
    "replica" TEXT NOT NULL,
    "protocols" TEXT[],
    "version" TEXT NOT NULL,
    "draining" BOOLEAN NOT NULL DEFAULT false,
    "seen_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "agent_link_pkey" PRIMARY KEY ("agent_id","gateway_id")
);

-- CreateTable
CREATE TABLE "link_message" (
    "id" UUID NOT NULL,
    "agent_id" UUID NOT NULL,
    "jws" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "link_message_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "used_token" (
    "key" TEXT NOT NULL,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "used_token_pkey" PRIMARY KEY ("key")
);

-- CreateIndex
CREATE UNIQUE INDEX "document_kind_name_key" ON "document"("kind", "name");

-- CreateIndex
CREATE UNIQUE INDEX "document_version_kind_name_version_key" ON "document_version"("kind", "name", "version");

-- CreateIndex
CREATE UNIQUE INDEX "node_name_key" ON "node"("name");

-- CreateIndex
CREATE UNIQUE INDEX "credential_username_key" ON "credential"("username");

-- CreateIndex
CREATE INDEX "credential_identity_idx" ON "credential"("identity");

-- CreateIndex
CREATE INDEX "credential_target_idx" ON "credential"("target");

-- CreateIndex
CREATE INDEX "credential_expires_at_idx" ON "credential"("expires_at");

-- CreateIndex
CREATE INDEX "session_created_at_idx" ON "session"("created_at");

-- CreateIndex
CREATE INDEX "session_identity_created_at_idx" ON "session"("identity", "created_at");

-- CreateIndex
CREATE INDEX "session_target_created_at_idx" ON "session"("target", "created_at");

-- CreateIndex
CREATE INDEX "session_ended_at_idx" ON "session"("ended_at");

-- CreateIndex
CREATE INDEX "approval_state_created_at_idx" ON "approval"("state", "created_at");

-- CreateIndex
CREATE UNIQUE INDEX "approval_session_id_command_key" ON "approval"("session_id", "command");

-- CreateIndex
CREATE UNIQUE INDEX "vote_approval_id_user_key" ON "vote"("approval_id", "user");

-- CreateIndex
CREATE UNIQUE INDEX "event_id_key" ON "event"("id");

-- CreateIndex
CREATE INDEX "event_time_idx" ON "event"("time");

-- CreateIndex
CREATE INDEX "event_session_id_position_idx" ON "event"("session_id", "position");

-- CreateIndex
CREATE INDEX "event_identity_time_idx" ON "event"("identity", "time");

-- CreateIndex
CREATE INDEX "event_target_time_idx" ON "event"("target", "time");

-- CreateIndex
CREATE INDEX "event_kind_time_idx" ON "event"("kind", "time");

-- CreateIndex
CREATE INDEX "event_actions_idx" ON "event" USING GIN ("actions");

-- CreateIndex
CREATE INDEX "event_objects_idx" ON "event" USING GIN ("objects");

-- CreateIndex
CREATE UNIQUE INDEX "event_source_source_seq_key" ON "event"("source", "source_seq");

-- CreateIndex
CREATE INDEX "agent_link_gateway_id_idx" ON "agent_link"("gateway_id");

-- CreateIndex
CREATE INDEX "link_message_created_at_idx" ON "link_message"("created_at");

-- CreateIndex
CREATE INDEX "used_token_expires_at_idx" ON "used_token"("expires_at");

-- AddForeignKey
ALTER TABLE "vote" ADD CONSTRAINT "vote_approval_id_fkey" FOREIGN KEY ("approval_id") REFERENCES "approval"("id") ON DELETE RESTRICT ON UPDATE CASCADE;


