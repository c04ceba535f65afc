import { Module } from '@nestjs/common'
import { DatabaseModule } from '../database/database.module.js'
import { AuditController } from './audit.controller.js'
import { AuditRepository } from './audit.repository.js'
import { BundlesService } from './bundles.service.js'
import { ChainWriter } from './chain-writer.js'
import { EventsService } from './events.service.js'
import { RecordingsRepository } from './recordings.repository.js'
import { SearchRepository } from './search.repository.js'
import { SearchService } from './search.service.js'
import { VerifyService } from './verify.service.js'

/** The audit chain. Exports {@link EventsService} for everyone, {@link SearchService} and recordings for the sessions' pages. */
@Module({
  imports: [DatabaseModule],
  controllers: [AuditController],
  providers: [AuditRepository, BundlesService, ChainWriter, EventsService, RecordingsRepository, SearchRepository, SearchService, VerifyService],
  exports: [BundlesService, EventsService, RecordingsRepository, SearchService],
})
export class AuditModule {}
