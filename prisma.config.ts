import { defineConfig } from 'prisma/config'

// Prisma would download its schema engine on every command. `generate`, `validate` and `format` don't need it; any
// executable stands in. Set PRISMA_SCHEMA_ENGINE_BINARY to a real engine to author migrations.
process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= '/bin/true'

export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
  datasource: { url: process.env.DATABASE_URL ?? 'postgresql://localhost:5432/sallyport' },
})
