import { Module } from '@nestjs/common'
import { DatabaseModule } from '../database/database.module.js'
import { AuditController } from './audit.controller.js'
import { AuditRepository } from './audit.repository.js'
import { ChainWriter } from './chain-writer.js'
import { EventsService } from './events.service.js'
import { SearchRepository } from './search.repository.js'
import { SearchService } from './search.service.js'
import { VerifyService } from './verify.service.js'

/** The audit chain. Exports {@link EventsService} for everyone, {@link SearchService} for the sessions' pages. */
@Module({
  imports: [DatabaseModule],
  controllers: [AuditController],
  providers: [AuditRepository, ChainWriter, EventsService, SearchRepository, SearchService, VerifyService],
  exports: [EventsService, SearchService],
})
export class AuditModule {}
