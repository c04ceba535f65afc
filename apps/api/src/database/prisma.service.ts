import { Inject, Injectable } from '@nestjs/common'
import { PrismaPg } from '@prisma/adapter-pg'
import { PrismaClient } from '../generated/prisma/client.js'
import { DATABASE_URL } from './database-url.js'

const maxConnections = 20
const connectTimeoutMilliseconds = 10_000

/** The database client. Only repositories use it. Closed by whoever started the application, after everything else. */
@Injectable()
export class PrismaService extends PrismaClient {
  constructor(@Inject(DATABASE_URL) url: string) {
    super({
      adapter: new PrismaPg({ connectionString: url, max: maxConnections, connectionTimeoutMillis: connectTimeoutMilliseconds, application_name: 'sallyport-api' }),
    })
  }
}
