import { Module } from '@nestjs/common'
import { ConfigError, ENVIRONMENT, type Environment } from '../config/environment.js'
import { DATABASE_URL } from './database-url.js'
import { PrismaService } from './prisma.service.js'

/** Connects to the database that start.ts has opened. */
@Module({
  providers: [
    PrismaService,
    {
      provide: DATABASE_URL,
      inject: [ENVIRONMENT],
      useFactory: ({ DATABASE_URL: url }: Environment): string => {
        if (url === undefined) throw new ConfigError('DATABASE_URL: no database was opened')
        return url
      },
    },
  ],
  exports: [DATABASE_URL, PrismaService],
})
export class DatabaseModule {}
