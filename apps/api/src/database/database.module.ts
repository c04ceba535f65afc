import { Module } from '@nestjs/common'
import { DATABASE_URL } from './database-url.js'
import { DatabaseService } from './database.service.js'
import { PrismaService } from './prisma.service.js'

@Module({
  providers: [
    DatabaseService,
    PrismaService,
    { provide: DATABASE_URL, inject: [DatabaseService], useFactory: (database: DatabaseService) => database.open() },
  ],
  exports: [DATABASE_URL, DatabaseService, PrismaService],
})
export class DatabaseModule {}
