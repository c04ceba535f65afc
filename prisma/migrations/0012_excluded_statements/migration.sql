-- What a policy lets stay of a held command's text and effects, once it is decided. Null: all of it.
ALTER TABLE "approval" ADD COLUMN "recorded" JSONB;
