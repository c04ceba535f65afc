import { TemporaryServer } from '@sallyport/embedded-postgres'
import { PrismaPg } from '@prisma/adapter-pg'
import { migrate } from '../database/migrations.js'
import { PrismaClient } from '../generated/prisma/client.js'

export interface TestPostgres {
  readonly url: string
  readonly prisma: PrismaClient
  stop(): Promise<void>
}

/** A real PostgreSQL of the test's own, with all migrations applied, in a temporary directory. */
export async function startPostgres(): Promise<TestPostgres> {
  const temporary = await TemporaryServer.start('sallyport')
  const url = temporary.server.url()
  await migrate(url)
  const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: url }) })
  return {
    url,
    prisma,
    async stop() {
      await prisma.$disconnect()
      await temporary.stop()
    },
  }
}
