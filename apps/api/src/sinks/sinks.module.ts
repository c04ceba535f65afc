import { Module } from '@nestjs/common'
import { AuditModule } from '../audit/audit.module.js'
import { DatabaseModule } from '../database/database.module.js'
import { DocumentsModule } from '../documents/documents.module.js'
import { SinksConfig } from './sinks.config.js'
import { SinksController } from './sinks.controller.js'
import { SinksRepository } from './sinks.repository.js'
import { SinksService } from './sinks.service.js'

/** Export of audit events. Reads the chain behind the ingest; nothing on the way in knows of it. */
@Module({
  imports: [AuditModule, DatabaseModule, DocumentsModule],
  controllers: [SinksController],
  providers: [SinksConfig, SinksRepository, SinksService],
  exports: [SinksService],
})
export class SinksModule {}
